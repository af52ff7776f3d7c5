"""A dense layer of low rank: ``y = x @ u @ v``, with fewer parameters than one of full rank."""

from fastnn import GlorotUniform, Layer


class LowRank(Layer):
    def __init__(self, n_in, n_out, rank=8):
        self.n_in, self.n_out, self.rank = n_in, n_out, rank
        self.initializers = {"u": GlorotUniform(), "v": GlorotUniform()}

    def parameter_shapes(self):
        return {"u": (self.n_in, self.rank), "v": (self.rank, self.n_out)}

    def forward(self, plan, x):
        self.hidden, y = plan.zeros(len(x), self.rank), plan.zeros(len(x), self.n_out)
        plan.matmul(x, self.u, self.hidden)
        plan.matmul(self.hidden, self.v, y)
        return y

    def backward(self, plan, x, y, dy, needs_dx):
        d_hidden, dx = plan.zeros(len(x), self.rank), plan.zeros(*x.shape)
        plan.matmul(self.hidden.T, dy, self.d_v)
        plan.matmul(dy, self.v.T, d_hidden)
        plan.matmul(x.T, d_hidden, self.d_u)
        plan.matmul(d_hidden, self.u.T, dx)
        return dx

    def config(self):
        return {"n_in": self.n_in, "n_out": self.n_out, "rank": self.rank}
