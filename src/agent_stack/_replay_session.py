"""The debugger without a screen: a prompt that reads lines, and batches of commands.

Both speak the grammar of `agent_debug_replay` and show what it comes to, as lines for eyes or
as JSON. The log is looked at again before every line, so that a run that goes on grows here too.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from agent_stack import _safe
from agent_stack._render.lines import Line
from agent_step_log.errors import StepLogError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import TextIO

    from agent_debug_replay import Change, Descent, Navigator, Outcome
    from agent_stack._screen import Screen

__all__ = ["Session"]

_CHANGES = {
    "rotated": "The log was rotated; reading on in the new file.",
    "shrunk": "The log got shorter; it was read again.",
    "replaced": "Another log is in the place of this one; it was read.",
    "gone": "The log is not there any more; what was read stays.",
}


class Session:
    """A way through runs, and where its outcomes are shown.

    Args:
        descent: What is asked.
        screen: Where outcomes go.
        as_json: Whether they go there as JSON.
    """

    def __init__(self, descent: Descent, screen: Screen, *, as_json: bool = False) -> None:
        self._descent = descent
        self._screen = screen
        self._as_json = as_json
        self._gone = False

    @property
    def navigator(self) -> Navigator:
        """That of the run the cursor is in."""
        return self._descent.navigator

    def batch(self, lines: Sequence[str]) -> int:
        """Do all commands of *lines*; return 1 if a breakpoint, watch or catch point was hit, else 0.

        Raises:
            StepLogError: A command cannot be understood, or done.
        """
        from agent_debug_replay import parse_commands

        parsed = [command for line in lines for command in parse_commands(line)]
        for command in parsed:
            if not self._show(self._descent.do(command)):
                break
        return 1 if self.navigator.hits else 0

    def repl(self, stream: TextIO | None) -> int:
        """Read lines from *stream* until it ends or says quit; return 2 if one failed and nobody watched.

        None is a stream that was closed before the program began: there are no lines in it.
        """
        is_watched = (
            stream is not None and stream is sys.stdin and stream.isatty() and self._screen.is_terminal
        )
        if not self._as_json:
            self._welcome()
        failed, last = False, ""
        for line in _typed(self._prompt) if is_watched else stream or ():
            text = line.strip() or (last if is_watched else "")
            if not text or text.startswith("#"):
                continue
            last = text
            self._look_again()
            try:
                if not all(self._show(outcome) for _, outcome in self._descent.run(text)):
                    break
            except StepLogError as error:
                failed = True
                self._complain(error)
            except KeyboardInterrupt:
                self._print([Line("Stopped.", "warn")])
            self._screen.flush()
        return 2 if failed and not is_watched else 0

    def _prompt(self) -> str:
        row = self.navigator.row
        label = row.label if row is not None else "-"
        return f"({self.navigator.replay.run_id[-8:]} {label}) " if self._descent.depth else f"({label}) "

    def _welcome(self) -> None:
        replay = self.navigator.replay
        row = self.navigator.row
        header = replay.header
        title = Line().add(header.agent or "run" if header is not None else "run", "title", 40)
        title.add(f"  {replay.run_id}", "dim", self._screen.width // 2)
        self._print([title.add(f"  {len(replay):,} rows, {replay.status}", "dim")])
        if replay.damage:
            from agent_stack._render.notes import render_damage

            self._print(render_damage(replay.damage))
        if row is not None:
            from agent_stack._render.replay_rows import render_row

            self._print([render_row(replay, row, self._screen.width, is_here=True)])

    def _look_again(self) -> None:
        try:
            change = self.navigator.refresh()
        except (StepLogError, OSError) as error:
            self._print(
                [Line().add(f"The log cannot be read any more: {error}", "error", self._screen.width)]
            )
            return
        text = self._change_text(change)
        if text:
            self._print([Line().add(text, "note", self._screen.width)])

    def _change_text(self, change: Change) -> str:
        if change.kind == "gone":
            is_news, self._gone = not self._gone, True
            return _CHANGES["gone"] if is_news else ""
        if change.kind in _CHANGES:
            return _CHANGES[change.kind]
        if change.kind == "grown" and change.added:
            return f"{change.added:,} more {'row' if change.added == 1 else 'rows'} since."
        return ""

    def _show(self, outcome: Outcome) -> bool:
        """Show *outcome*; False when it ends the session."""
        from agent_debug_replay import Quit

        if self._as_json:
            from agent_stack._json import json_line
            from agent_stack._replay_json import outcome_dict

            self._screen.write(json_line(outcome_dict(self.navigator, outcome)))
        else:
            from agent_stack._render.replay_outcomes import render_outcome

            self._print(render_outcome(self.navigator, outcome, self._screen.width))
        return not isinstance(outcome, Quit)

    def _complain(self, error: StepLogError) -> None:
        if self._as_json:
            from agent_stack._json import json_line

            column = getattr(error, "column", None)
            self._screen.write(json_line({"outcome": "error", "message": str(error), "column": column}))
            return
        text = getattr(error, "pointer", str(error))
        self._print(Line("  ").add(line, "error") for line in text.split("\n"))

    def _print(self, lines: Iterable[Line]) -> None:
        if not self._as_json:
            self._screen.print(lines)


def _typed(prompt: Callable[[], str]) -> Iterable[str]:
    """Yield the lines a person types at the terminal, with their history at hand."""
    # Editing and history come with the import, where Python was built with them.
    try:
        import readline

        readline.set_auto_history(True)
    except ImportError:
        pass
    while True:
        try:
            yield input(_safe.line(prompt()))
        except EOFError:
            sys.stdout.write("\n")
            return
        except KeyboardInterrupt:
            sys.stdout.write("\n")
