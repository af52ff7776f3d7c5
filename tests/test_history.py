"""The record of a training: one entry an epoch."""

import csv

from fastnn import Epoch, History

EPOCHS = [
    Epoch(1, 0.9, 0.5, None, None, 0.25),
    Epoch(2, 0.1 + 0.2, 0.75, 1e-7, 1.0, 0.125),
]


def test_history_is_a_sequence_of_epochs():
    history = History(list(EPOCHS))
    assert len(history) == 2
    assert history[-1] is EPOCHS[1]
    assert history[:1] == EPOCHS[:1]
    assert list(history) == EPOCHS
    assert history.stopped is None


def test_history_of_one_training_is_not_that_of_another():
    first, second = History(), History()
    first.records.append(EPOCHS[0])
    assert len(second) == 0


def test_history_as_dicts_has_every_field():
    assert History(list(EPOCHS)).as_dicts()[0] == {
        "epoch": 1,
        "loss": 0.9,
        "accuracy": 0.5,
        "val_loss": None,
        "val_accuracy": None,
        "seconds": 0.25,
    }


def test_history_to_csv_keeps_every_digit_and_leaves_what_is_missing_empty():
    first, second = csv.DictReader(History(list(EPOCHS)).to_csv().splitlines())
    assert first["epoch"] == "1"
    assert first["val_loss"] == first["val_accuracy"] == ""
    assert float(second["loss"]) == 0.1 + 0.2
    assert float(second["val_loss"]) == 1e-7


def test_history_to_csv_of_no_epoch_is_the_header():
    header = "epoch,loss,accuracy,val_loss,val_accuracy,seconds\n"
    assert History().to_csv() == header
