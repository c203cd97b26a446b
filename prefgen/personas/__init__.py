"""Persona spec to personas: fit the joint distribution, draw, portray, audit."""
