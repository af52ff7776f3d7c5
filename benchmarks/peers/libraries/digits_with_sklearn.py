"""The training of ``fastnn train`` without options, as a user of scikit-learn would write it."""

import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

x, y = load_digits(return_X_y=True)
x_train, x_test, y_train, y_test = train_test_split(
    (x / 16).astype(np.float32), y, test_size=0.2, stratify=y, random_state=0
)
EPOCHS = 60
model = MLPClassifier(
    (128,),
    batch_size=32,
    alpha=0.0,
    max_iter=EPOCHS,
    early_stopping=True,  # evaluates a tenth each epoch, as FastNN does; never reached
    validation_fraction=0.1,
    n_iter_no_change=EPOCHS,
    random_state=0,
)
with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)  # EPOCHS are enough
    model.fit(x_train, y_train)
print(f"test accuracy {model.score(x_test, y_test):.4f}")
