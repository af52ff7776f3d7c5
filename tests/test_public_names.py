"""What ``import fastnn`` offers."""

import fastnn


def test_promised_names_are_exported():
    promised = """Sequential Dense ReLU LeakyReLU Sigmoid Tanh Softmax Dropout SoftmaxCrossEntropy
        BinaryCrossEntropy MeanSquaredError SGD RMSprop Adam AdamW fit evaluate
        GlorotUniform GlorotNormal HeUniform HeNormal RandomUniform RandomNormal Zeros Constant
        ConstantRate StepDecay CosineDecay WarmUp
        EarlyStopping TerminateOnNaN Checkpoint CSVLogger
        Layer Activation Loss Optimizer op load_network save_network"""
    assert set(promised.split()) <= set(fastnn.__all__)


def test_exported_names_lead_somewhere():
    assert len(set(fastnn.__all__)) == len(fastnn.__all__)
    for name in fastnn.__all__:
        assert getattr(fastnn, name).__name__ == name
    assert set(fastnn.__all__) <= set(dir(fastnn))
