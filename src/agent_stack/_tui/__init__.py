"""The debugger on the whole screen: steps in a list, what each holds beside it, and keys for every move."""

from __future__ import annotations

import gc
from importlib.util import find_spec

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
    from agent_debug_replay import Replay
    from agent_stack._tui._app import ReplayApp
    from agent_stack._tui._keymap import load_keymap

    keymap = load_keymap()
    with Replay.open(source, run, wait=False) as replay:
        app = ReplayApp(replay, keymap, on_loaded=spare_keys)
        with app.descent:
            return app.run() or 0


def spare_keys() -> None:
    """Have the garbage collector leave alone all there is now; for a process that does nothing else.

    The toolkit and the list of prices are a few hundred thousand objects that stay to the end. To go through
    them all in the midst of a key took a tenth of a second, every thirty keys or so.
    """
    gc.freeze()
    gc.set_threshold(5_000, 10, 50)
