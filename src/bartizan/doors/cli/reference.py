"""Commands that print what the product is made of."""

import click

from bartizan.doors.http import openapi as document
from bartizan.house import Bartizan

from .running import as_json, asking


@click.command()
@asking
async def openapi() -> None:
    """Print the OpenAPI document of the API, as JSON.

    \b
    Example:
      bartizan openapi > openapi.json
    """
    house = Bartizan({"environment": "test"})
    try:
        as_json(document(house))
    finally:
        await house.stop()
