"""Plugins for bulkhead in Python: methods and streams that a main service calls.

    from bulkhead import Plugin

    plugin = Plugin()

    @plugin.method
    async def greet(call, name):
        return f"hello {name}"

    plugin.run()
"""

from .call import Call
from .checkpoint import Checkpoint
from .descriptor import Descriptor
from .errors import Cancelled, PluginError
from .journal import Journal, JournalFull
from .plugin import Plugin
from .version import __version__

__all__ = ["Call", "Cancelled", "Checkpoint", "Descriptor", "Journal", "JournalFull", "Plugin", "PluginError", "__version__"]
