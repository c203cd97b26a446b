"""The dataset card: what was made, how, and how far to trust it. Written from the manifest and the data alone."""

from prefgen.publish.card.write import card_of, write_card

__all__ = ["card_of", "write_card"]
