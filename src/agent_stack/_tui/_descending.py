"""From the run on the screen into those its steps started, and back to where one left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent_debug_replay import Where
from agent_stack._render.lines import Line
from agent_stack._tui._beside import Stopped
from agent_stack._tui._growing import Growing
from agent_stack._tui._view import RunView
from agent_step_log.errors import StepLogError

if TYPE_CHECKING:
    from agent_debug_replay import Command, Outcome

__all__ = ["Descending"]


class Descending(Growing):
    """A list of the steps of one run, and then of another."""

    def _idle_work(self) -> bool:
        if super()._idle_work():
            return True
        if self.view.parents is None and not self.view.beside.is_busy:
            self.view.parents = set()
            self.run_worker(self._load_parents(), group="parents", exclusive=True)
        return False

    async def _cross(self, command: Command, outcome: Outcome) -> Outcome:
        """Show another run where *command* leads into one or back; return what it came to in the end."""
        descent = self.descent
        if isinstance(outcome, Where) or descent.leads_in(command, outcome):
            # Beside, as the heads of all logs there are looked at; they are known then.
            await self.view.beside.do(descent.children)
        elif descent.leads_out(command, outcome):
            await self.view.beside.stopped()  # the run is closed when it is left
        before = descent.navigator
        outcome = descent.cross(command, outcome)
        if descent.navigator is not before:
            self._show_view()
        return outcome

    async def _load_parents(self) -> None:
        """Show which steps started runs."""
        view = self.view
        try:
            view.parents = await view.beside.do(self.descent.parents)
        except (Stopped, StepLogError, OSError):
            return  # they are looked for when one is gone into
        if view is self.view and view.parents:
            self.steps.parents = view.parents
            self.steps.repaint_all()

    def _show_view(self) -> None:
        """Show the run the cursor is in now, as it was left or from its beginning."""
        navigators = self.descent.navigators
        del self.views[len(navigators) :]
        self.views += map(RunView, navigators[len(self.views) :])
        self._left.remove_class("-growth")
        self.growth.show_run(self.replay)
        self.steps.show_run(self.view)
        self.bars["message"].show_right(Line())
        self._result = ""
        self._show_marks()
        self._shown_changed()
        self._focus_list()
