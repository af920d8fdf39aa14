"""What a run looks like in the terminal: live, plain, and the summary at its end."""

from braid.orchestrator.cli.display.live import LiveDisplay
from braid.orchestrator.cli.display.plain import PlainDisplay
from braid.orchestrator.cli.display.state import DisplayState
from braid.orchestrator.cli.display.summary import comparison_lines, report_lines

__all__ = ["DisplayState", "LiveDisplay", "PlainDisplay", "comparison_lines", "report_lines"]
