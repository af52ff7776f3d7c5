"""Lion (Chen et al., 2023): steps of one length, in the direction of a momentum's sign."""

import numpy as np

from fastnn import Optimizer, op


@op
def lion(g, rate, beta_1, beta_2, mean, w):
    for i in range(w.size):
        w[i] -= rate[0] * np.sign(beta_1 * mean[i] + (1 - beta_1) * g[i])
        mean[i] = beta_2 * mean[i] + (1 - beta_2) * g[i]


class Lion(Optimizer):
    slots = ("mean",)

    def __init__(self, learning_rate=1e-3, beta_1=0.9, beta_2=0.99, **options):
        super().__init__(learning_rate, **options)
        self.beta_1, self.beta_2 = beta_1, beta_2

    def plan_update(self, plan, weights, gradients):
        mean = self.state["mean"]
        plan.call(lion, gradients, self.rate, self.beta_1, self.beta_2, mean, weights)
