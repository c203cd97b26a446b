"""Requests to responses. Everything durable, asynchronous or networked about a model lives here."""
