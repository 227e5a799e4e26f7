"""MLflow by its own command: ``mlflow server --app-name bartizan`` (its entry-point group ``mlflow.app``)."""

from importlib import import_module

from .asgi import Wrapped, wrap
from .closing import or_nothing


def create_app() -> Wrapped:
    """Put the gate in front of MLflow's server; settings come from the environment, as everywhere.

    A factory, so that importing it does nothing. If the gate cannot be built the process ends.
    """
    with or_nothing("MLflow"):
        return wrap(import_module("mlflow.server.fastapi_app").app)
