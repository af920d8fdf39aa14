"""Any engine behind the OpenAI API: models, completions and chat over HTTP, with health and metrics.

async with await connect("local:braid-mini") as engine:
    await serve(engine, ServerOptions(port=8000))         # until SIGTERM or Ctrl-C, then drains

async with serving(engine, ServerOptions(port=0)) as url:  # in the background of your own program
    ...
"""

from braid.engine.server.app import create_app
from braid.engine.server.config import ServerLimits, ServerOptions, read_api_key
from braid.engine.server.serve import bind, serve, serving

__all__ = ["ServerLimits", "ServerOptions", "bind", "create_app", "read_api_key", "serve", "serving"]
