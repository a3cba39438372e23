"""What can be asked: SQL over any pile of logs, by views that read as `read_log` does."""

from __future__ import annotations

from agent_step_log.query._columns import VIEWS, Column
from agent_step_log.query._compact import Compacted, compact
from agent_step_log.query._logs import Logs, open_logs
from agent_step_log.query._result import Result
from agent_step_log.query.errors import QueryError

__all__ = ["VIEWS", "Column", "Compacted", "Logs", "QueryError", "Result", "compact", "open_logs"]
