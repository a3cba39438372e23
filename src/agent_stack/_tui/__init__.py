"""The debugger on the whole screen: steps in a list, what each holds beside it, and keys for every move."""

from __future__ import annotations

from importlib.util import find_spec

from agent_stack._tui._garbage import spare_keys
from agent_step_log.errors import MissingExtraError

__all__ = ["run_replay", "spare_keys"]


def run_replay(source: str, run: str | None = None) -> int:
    """Open the debugger on a run and return its exit status once it is left.

    Args:
        source: A log, a directory, a pattern, or a tape with its log beside it.
        run: Its id, or the beginning or end of it. Default: the run started last.

    Raises:
        MissingExtraError: textual is not installed.
        CommandError: The user's keymap cannot be understood.
        StepLogError: The run cannot be found or read; as `agent_debug_replay.Replay.open`.
    """
    if find_spec("textual") is None:
        message = "The debugger on the whole screen needs 'textual': pip install 'agent-step-log[tui]'"
        raise MissingExtraError(f"{message}. `--repl` is the same at a prompt.")
    spare_keys()  # from the start: loading the toolkit is much quicker without
    from agent_debug_replay import Replay
    from agent_stack._tui._app import ReplayApp
    from agent_stack._tui._keymap import load_keymap

    keymap = load_keymap()
    with Replay.open(source, run, wait=False) as replay:
        app = ReplayApp(replay, keymap, on_loaded=spare_keys)
        with app.descent:
            return app.run() or 0
