"""Persona spec to people: fit the joint distribution, draw, portray, audit."""

from prefgen.personas.check import check_population
from prefgen.personas.controls import CONTROLS, Control
from prefgen.personas.draw import Drawn, draw, draw_audited
from prefgen.personas.write import write_personas

__all__ = ["CONTROLS", "Control", "Drawn", "check_population", "draw", "draw_audited", "write_personas"]
