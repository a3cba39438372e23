"""Two runs side by side, their steps aligned by what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.screen import Screen

from agent_stack._render.figures import SIGNS
from agent_stack._render.lines import Line
from agent_stack._render.preview import preview
from agent_stack._render.replay_changes import render_fields
from agent_stack._render.words import GLYPHS, answer_words
from agent_stack._tui._bars import LineBar
from agent_stack._tui._painted import Painted
from agent_stack._tui._pane import TextPane

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events
    from textual.app import ComposeResult

    from agent_debug_replay import RunDiff
    from agent_step_log import RunInfo, Step

__all__ = ["DiffScreen", "compare_with"]

#: Kind of pair to sign, style and words.
_KINDS = {
    "same": ("=", "dim", "same"),
    "output": ("~", "warn", "output drift"),
    "arguments": ("≠", "warn_bold", "arguments changed"),
    "only_a": ("<", "error", "only in A"),
    "only_b": (">", "ok", "only in B"),
    "reordered": ("↳", "note", "reordered"),
}


def compare_with(source: str, run_id: str, text: str) -> RunDiff:
    """Compare a run with the one *text* names: a run of the same source, a file, or ``FILE:RUN``.

    Raises:
        StepLogError: There is no such run, or several.
        OSError: A file cannot be read.
    """
    from pathlib import Path

    from agent_debug_replay import diff

    path, colon, wanted = text.rpartition(":")
    if Path(text).exists():
        return diff((source, run_id), text)
    if colon and Path(path).exists():
        return diff((source, run_id), (path, wanted))
    return diff((source, run_id), (source, text))


class PairList(Painted):
    """The pairs of a comparison, by place: all, or those that differ."""

    def __init__(self, found: RunDiff, **options: Any) -> None:
        super().__init__(**options)
        self._found = found
        self.places: Sequence[int] = range(len(found.pairs))
        self.only_different = False
        self.count = len(self.places)
        self.cursor = 0 if self.places else None

    @property
    def place(self) -> int | None:
        """The pair at the cursor."""
        return None if self.cursor is None else self.places[self.cursor]

    def toggle(self) -> None:
        """Show only what differs, or everything again; stays at the pair the cursor is at."""
        here = self.place or 0
        self.only_different = not self.only_different
        pairs = self._found.pairs
        self.places = (
            [place for place in range(len(pairs)) if pairs[place].is_different]
            if self.only_different
            else range(len(pairs))
        )
        self.set_count(len(self.places))
        before = [place for place, pair in enumerate(self.places) if pair <= here]
        self.put_cursor((before[-1] if before else 0) if self.places else None)

    def following(self, way: int) -> int | None:
        """Return where the next pair that differs is shown, from the cursor on; None if there is none."""
        at = self.cursor if self.cursor is not None else -1
        rows = range(at + way, self.count if way > 0 else -1, way)
        return next((row for row in rows if self._found.pairs[self.places[row]].is_different), None)

    def paint(self, place: int, width: int) -> Line:
        """Return a pair: A's step, how they compare, B's step."""
        pair = self._found.pairs[self.places[place]]
        sign, style, _ = _KINDS[pair.kind]
        if pair.is_harmless:
            style = "dim"
        half = (width - 5) // 2
        line = Line("▶" if place == self.cursor else " ", "note")
        line.extend(_side(pair.a, half, pair.depth, pair.kind)).pad(half + 1)
        line.add(f" {sign} ", style)
        return line.extend(_side(pair.b, half, pair.depth, pair.kind))


def _side(step: Step | None, cells: int, depth: int, kind: str) -> Line:
    if step is None:
        return Line("       ").add("·", "dim")
    line = Line(str(step.number).rjust(6) + " ", "number").add("│ " * min(depth, 6), "guide")
    glyph, style = GLYPHS.get(step.type, ("◇", "note"))
    if step.status == "error":
        glyph, style = "✗", "error"
    is_quiet = kind == "same" and step.status != "error"
    line.add(f"{glyph} ", style).add(
        step.name or "?", "dim" if is_quiet else style, min(24, max(cells // 3, 6))
    )
    gap = "  "
    for text, piece in _words(step):
        room = cells - line.width
        if room > 4 and text.strip():
            line.add(gap).add(text, "dim" if is_quiet else piece, room - 2)
            gap = "" if text.endswith(" ") else "  "
    shown = Line()
    for text, piece in line.pieces:
        if shown.width < cells:
            shown.add(text, piece, cells - shown.width)
    return shown


def _words(step: Step) -> list[tuple[str, str]]:
    record = step.record
    if step.type == "llm_call":
        return answer_words(record)
    given = record.data if step.type == "event" else record.input
    if given is None and step.start is not None:
        given = step.start.input
    return [(preview(given), "dim")] if given not in (None, {}, "") else []


class DiffScreen(Screen[None]):
    """The comparison on the whole screen; esc leads back."""

    CSS: ClassVar[str] = """
    DiffScreen { layout: vertical; }
    DiffScreen LineBar { height: 1; }
    DiffScreen PairList { height: 3fr; }
    DiffScreen TextPane { height: 2fr; border-top: solid ansi_bright_black; }
    DiffScreen Painted { scrollbar-size-vertical: 1; scrollbar-gutter: stable; }
    """

    def __init__(self, found: RunDiff) -> None:
        super().__init__()
        self.found = found
        self.message = ""

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        yield LineBar(id="diff-a")
        yield LineBar(id="diff-b")
        yield LineBar(id="diff-verdict")
        yield PairList(self.found, id="pairs")
        yield TextPane(id="changes")
        yield LineBar(id="diff-message")
        yield LineBar(id="diff-hints")

    def on_mount(self) -> None:
        """Say what is compared, and go to where they part."""
        self.pairs = self.query_one(PairList)
        self.changes = self.query_one(TextPane)
        for name, info, run_id in (
            ("a", self.found.a_info, self.found.a_id),
            ("b", self.found.b_info, self.found.b_id),
        ):
            self.query_one(f"#diff-{name}", LineBar).show(
                _head(name.upper(), info), Line().add(f"{run_id} ", "dim", 50)
            )
        self.query_one("#diff-verdict", LineBar).show(self._verdict())
        hints = Line(" ")
        for key, words in (
            *(
                ("j/k", "pair"),
                ("1", "first divergence"),
                ("n/N", "next difference"),
                ("f", "only differences"),
            ),
            *(("tab", "fields"), ("esc", "back")),
        ):
            hints.add(key, "bold").add(f" {words}  ", "dim")
        self.query_one("#diff-hints", LineBar).show(hints)
        self.pairs.focus()
        self.call_after_refresh(self._to_first)

    def on_resize(self) -> None:
        """Lay the fields out for the width there is."""
        self.call_after_refresh(self._fill)

    def on_key(self, event: events.Key) -> None:
        """Do what the key is for."""
        event.stop()
        event.prevent_default()
        self._tell("")
        pane = self.changes if self.focused is self.changes else self.pairs
        rows = {
            "j": 1,
            "down": 1,
            "k": -1,
            "up": -1,
            "g": -pane.count,
            "home": -pane.count,
            "G": pane.count,
            "end": pane.count,
            "pagedown": pane.page,
            "pageup": -pane.page,
            "ctrl+d": pane.page,
            "ctrl+u": -pane.page,
        }
        if event.key in rows:
            if pane is self.changes:
                pane.move(rows[event.key])
            elif self.pairs.cursor is not None:
                self._go(min(max(self.pairs.cursor + rows[event.key], 0), pane.count - 1))
        elif event.key in ("1", "D", "e"):
            self._to_first()
        elif event.key in ("n", "N"):
            place = self.pairs.following(1 if event.key == "n" else -1)
            self._tell("There is no further difference.") if place is None else self._go(place)
        elif event.key == "f":
            self.pairs.toggle()
            self._fill()
        elif event.key in ("tab", "shift+tab", "enter"):
            (self.pairs if self.focused is self.changes else self.changes).focus()
        elif event.key in ("escape", "q"):
            self.dismiss()
        elif event.key == "ctrl+c":
            self.app.exit(0)

    def on_painted_picked(self, message: Painted.Picked) -> None:
        """Go to the pair that was clicked."""
        self._go(message.place)

    def _go(self, place: int) -> None:
        self.pairs.put_cursor(place)
        self._fill()

    def _to_first(self) -> None:
        pairs = self.found.pairs
        place = next((row for row, pair in enumerate(self.pairs.places) if pairs[pair].is_different), None)
        if place is not None:
            self._go(place)
        else:
            self._fill()
            self._tell("Their steps do not differ.")

    def _fill(self) -> None:
        place = self.pairs.place
        if place is None:
            self.changes.show([])
            return
        pair = self.found.pairs[place]
        _, style, words = _KINDS[pair.kind]
        lines = [Line(words, style if pair.is_different else "dim")]
        if pair.is_harmless:
            lines[0].add("  ran beside another step in both runs: no difference", "dim")
        width = max(self.changes.cells, 20)
        if pair.kind != "same" and pair.a is not None and pair.b is not None:
            lines += render_fields(pair.changes(), width)
        for name, step in (("A", pair.a), ("B", pair.b)):
            if step is not None and (pair.a is None or pair.b is None):
                lines.append(Line(f"{name} ", "bold").extend(_side(step, width - 4, 0, pair.kind)))
        self.changes.show(lines)

    def _verdict(self) -> Line:
        if self.found.is_same:
            return Line(" ✓ the runs did the same", "ok")
        line = Line(" ▲ ", "warn")
        for kind, number in self.found.counts.items():
            if number:
                sign, style, words = _KINDS[kind]
                line.add(f"{sign} ", style).add(f"{number:,} {words}   ", "")
        return line

    def _tell(self, text: str) -> None:
        self.message = text
        self.query_one("#diff-message", LineBar).show(Line().add(text, "warn", max(self.size.width, 20)))


def _head(side: str, info: RunInfo | None) -> Line:
    line = Line(f" {side} ", "bold")
    if info is None:
        return line
    sign, style = SIGNS.get(info.status, ("?", "dim"))
    line.add((info.header.agent if info.header is not None else None) or "run", "title", 30)
    line.add(f"  {sign} {info.status}", style)
    return line
