"""What a field of `fastnn.experiments.settings.Experiment` states, in a form that others read.

A field is annotated with its type and, by msgspec's `Meta`, with its range and a description::

    epochs: Annotated[Count, describe("Training", "Passes over the training data.")] = 60
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias, get_args, get_origin

import msgspec
from msgspec import Meta

from fastnn.kernels.finding import is_code

CODE = "MODULE:NAME or FILE.py:NAME"

Text: TypeAlias = Annotated[str, Meta(min_length=1)]
Count: TypeAlias = Annotated[int, Meta(ge=1)]
CountOrZero: TypeAlias = Annotated[int, Meta(ge=0)]
Positive: TypeAlias = Annotated[float, Meta(gt=0)]
PositiveOrZero: TypeAlias = Annotated[float, Meta(ge=0)]
Share: TypeAlias = Annotated[float, Meta(ge=0, lt=1)]

_KINDS = {bool: "true or false", str: "text", int: "a whole number", float: "a number"}
_BOUNDS = {"ge": "of at least", "gt": "above", "le": "of at most", "lt": "below"}


class ExperimentError(ValueError):
    """A setting is not allowed; the text names it, what was received and what is allowed."""


def describe(panel: str, text: str, choices: Iterable[str] = (), *, code: bool = False) -> Meta:
    """Describe a setting.

    Parameters
    ----------
    panel : str
        The panel of the help that its option stands in.
    text : str
        The help text, without range, choices and default.
    choices : iterable of str
        The names that are allowed; any text if empty.
    code : bool
        Whether ``MODULE:NAME`` and ``FILE.py:NAME`` are allowed.

    """
    return Meta(description=text, extra={"panel": panel, "choices": tuple(choices), "code": code})


@dataclass(frozen=True)
class Setting:
    """A field of `Experiment`; the attributes that are not listed are those of `describe`.

    Attributes
    ----------
    name : str
    annotation : type
        As msgspec checks it.
    kind : type
        What the annotation comes down to: bool, int, float, str, or tuple for whole numbers.

    """

    name: str
    annotation: Any
    kind: type
    text: str
    panel: str
    choices: tuple[str, ...]
    code: bool

    @classmethod
    def of(cls, field: msgspec.structs.FieldInfo) -> "Setting":
        """Read the annotation of a field."""
        *_, meta = _metas(field.type)  # the outermost comes last
        return cls(
            field.name, field.type, _kind(field.type), meta.description or "", **meta.extra or {}
        )

    @property
    def bounds(self) -> str:
        """The range of a number in words; empty if it has none."""
        return " and ".join(
            f"{word} {value}"
            for bound, word in _BOUNDS.items()
            for meta in _metas(self.annotation)
            if (value := getattr(meta, bound)) is not None
        )

    @property
    def allowed(self) -> str:
        """What a value must be, in words."""
        if self.choices:
            return f"one of {', '.join(self.choices)}" + (f", {CODE}" if self.code else "")
        return f"{_KINDS.get(self.kind, 'whole numbers')} {self.bounds}".rstrip()

    def check(self, value: object) -> Any:  # noqa: ANN401 - as the field has it
        """Return `value` as the field holds it.

        Raises
        ------
        ExperimentError
            It is not allowed.

        """
        if isinstance(value, float):
            value = float(value)  # a float64 of NumPy's, which msgspec does not take
        try:
            checked = msgspec.convert(value, self.annotation)
        except msgspec.ValidationError:
            valid = False
        else:
            valid = not isinstance(checked, float) or math.isfinite(checked)
            if self.choices:
                valid = checked in self.choices or (self.code and is_code(checked))
        if not valid:
            raise ExperimentError(f"{self.name} must be {self.allowed}, not {value!r}")
        return checked

    def parse(self, text: str) -> Any:  # noqa: ANN401 - as the field has it
        """Return what an option of the command line stands for, checked as in `check`."""
        if self.kind is not tuple:
            return self.check(_converted(text, self.kind))
        try:
            return self.check(
                [] if text == "none" else [_converted(n, int) for n in text.split(",")]
            )
        except ExperimentError:
            raise ExperimentError(
                f"{self.name} must be {self.allowed}, separated by commas, or none, not {text!r}"
            ) from None


def _converted(text: str, kind: type) -> object:
    """Return the number that a text stands for, or the text if it stands for none."""
    try:
        return kind(text)
    except ValueError:
        return text


def _metas(annotation: object) -> Iterator[Meta]:
    """Yield what an annotation holds of msgspec's, from the inside out."""
    for argument in get_args(annotation):
        if isinstance(argument, Meta):
            yield argument
        else:
            yield from _metas(argument)


def _kind(annotation: object) -> type:
    while get_args(annotation) and get_origin(annotation) is not tuple:
        annotation = get_args(annotation)[0]
    kind = get_origin(annotation) or annotation
    assert isinstance(kind, type)
    return kind
