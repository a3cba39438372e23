"""The current run: who is running, here and now.

The current run and the step in flight live in two context variables, so each
asyncio task, each thread and each copied context has its own. asyncio hands them
to the tasks it makes; threads, executors and processes begin with none unless
``_carry`` brings them.

    current run     RunContext | None      set by RunContext.start, by `with run:` and by use_run
    step in flight  (run id, step) | None  set by the recorder around each step it measures

A run keeps no context-variable token. It is often ended somewhere else than where it
began (another thread, a task, the garbage collector closing a generator), and
resetting a token there raises. Ending marks the run itself instead: an ended run
is never the current one, wherever a context still points at it; the nearest run
around it that goes on is.
"""

from __future__ import annotations

from contextvars import ContextVar

from ._ids import RunId
from ._links import RANDOM, SAMPLED, RunLink, run_from_env

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextvars import Token
    from types import EllipsisType, TracebackType
    from typing import Any, Self, TypeAlias

    Parent: TypeAlias = "RunContext | RunLink | str | EllipsisType | None"

__all__ = ["RunContext", "current_link", "current_run", "current_run_id", "current_step", "use_run"]

# Bare starts that nobody ends would otherwise hold each other for as long as the program runs.
MAX_OPEN_BARE_STARTS = 32

_current: ContextVar[RunContext | None] = ContextVar("agent_run_id.current_run", default=None)

#: The parent of this context's runs, brought in by value from another process.
_carried_link: ContextVar[RunLink | None] = ContextVar("agent_run_id.carried_link", default=None)

#: The step in flight in this context, as ``(run_id, step)``, or None. Whoever records steps sets it
#: when a step begins and sets the former value again when it ends (with ``set``, not ``reset``: the
#: end may come in another context). Child runs, child processes and requests read their parent step here.
current_step: ContextVar[tuple[str, int] | None] = ContextVar("agent_run_id.current_step", default=None)


class RunContext:
    """One run of an agent: its id, where it hangs, and what is known about it.

    ``RunContext.start()`` makes a run and makes it current. It ends with :meth:`end`, or with the block
    when used as ``with RunContext.start() as run:`` (or ``async with``). ``RunContext(run_id=...)`` only
    describes a run; ``with`` makes it current.

    A run started while another is current is its child. A bare start that is never ended stays current
    in its context, so the next one there is its child: in a loop use ``with``, or end each run.

    Attributes:
        run_id: The run's id.
        agent: The agent's name, or None.
        parent_run_id: The run this one is a child of, or None.
        parent_step: The parent's step that was in flight when this run was made, or None.
        root_run_id: The outermost run known above this one; *run_id* itself for a root.
        session_id: The session it belongs to, the parent's unless given; or None.
        metadata: Whatever else was said about it. A dict of its own, free to change.
        trace_flags: W3C flags: 1 sampled, 2 random.
        tracestate: What vendors put on an incoming trace, or None.

    Any thread and any context may read it and may end it. Pickled or copied it is the same run, not
    current anywhere.
    """

    __slots__ = (
        "__weakref__",
        "_bare_starts",
        "_is_active",
        "_is_ended",
        "_outer",
        "_outer_step",
        "_trace_id",
        "agent",
        "metadata",
        "parent_run_id",
        "parent_step",
        "root_run_id",
        "run_id",
        "session_id",
        "trace_flags",
        "tracestate",
    )

    def __init__(
        self,
        run_id: str | None = None,
        *,
        agent: str | None = None,
        parent: Parent = ...,
        session_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        link = _link_of(parent)
        # A new id of ours ends in random bits and may say so; of an id given to us nothing is known.
        self.run_id = RunId(run_id) if run_id else RunId.generate()
        self.trace_flags = SAMPLED if run_id else SAMPLED | RANDOM
        self.agent = agent
        self.session_id = session_id
        self.metadata: dict[str, Any] = dict(metadata) if metadata else {}
        self.parent_run_id: RunId | None = None
        self.parent_step: int | None = None
        self.root_run_id = self.run_id
        self.tracestate: str | None = None
        self._trace_id: str | None = None
        if link is not None:
            # Resuming the very run we are in, or that started this process, does not make it its own child.
            if link.run_id != self.run_id:
                self.parent_run_id, self.parent_step = link.run_id, link.step
            self.root_run_id = link.root_run_id or self.run_id
            self._trace_id = link.incoming_trace_id
            self.trace_flags, self.tracestate = link.trace_flags, link.tracestate
            if session_id is None:
                self.session_id = link.session_id
        self._outer: RunContext | None = None
        self._outer_step: tuple[str, int] | None = None
        self._bare_starts = 0
        self._is_active = False
        self._is_ended = False

    @classmethod
    def start(
        cls,
        agent: str | None = None,
        *,
        run_id: str | None = None,
        parent: Parent = ...,
        session_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> Self:
        """Make a run and make it current in this context.

        Args:
            agent: The agent's name. Without it, ``agent_name=`` or ``name=`` is taken for it.
            run_id: An id of your own, any string. Default: a new one. Giving the id of an earlier run
                resumes it.
            parent: What this run is a child of: a run, a run id, or a :class:`RunLink` that a request
                brought. None makes a root. Default: the current run and its step in flight; without
                one, the run that started this process (:func:`run_from_env`).
            session_id: The conversation or session it belongs to. Default: the parent's.
            metadata: Free keys and values, copied.
            more: More metadata; wins over *metadata*.

        Raises:
            TypeError: *parent* is none of these.
        """
        for alias in ("agent_name", "name"):
            if agent is None:
                agent = more.pop(alias, None)
        run = cls(
            run_id,
            agent=agent,
            parent=parent,
            session_id=session_id,
            metadata={**(metadata or {}), **more},
        )
        run._activate()
        return run

    @property
    def is_ended(self) -> bool:
        """Whether the run has ended, here or in any other thread."""
        return self._is_ended

    @property
    def trace_id(self) -> str:
        """The W3C trace this run is part of: the incoming one, else the root run's own."""
        return self._trace_id or self.root_run_id.trace_id

    def link(self, step: int | None = None) -> RunLink:
        """Return the place in this run that a child may hang on.

        Args:
            step: The step that makes the child. Default: the one of this run in flight in the
                calling context, if any.
        """
        if step is None:
            in_flight = current_step.get()
            if in_flight is not None and in_flight[0] == self.run_id:
                step = in_flight[1]
        return RunLink(
            self.run_id,
            step=step,
            root_run_id=self.root_run_id,
            session_id=self.session_id,
            trace_id=self._trace_id,
            trace_flags=self.trace_flags,
            tracestate=self.tracestate,
        )

    def end(self) -> None:
        """End the run; the run around it, if it goes on, is current again.

        Works in any thread and context, as often as you like, and never raises. Runs started inside
        it and still going are left alone.
        """
        self._is_ended = True
        if _current.get() is self:
            self._step_back()

    def _activate(self) -> None:
        if not self._is_active:
            self._is_active = True
            outer, self._outer_step = _going_on(_current.get(), current_step.get())
            self._outer = outer
            if outer is not None:
                self._bare_starts = outer._bare_starts + 1
                if self._bare_starts > MAX_OPEN_BARE_STARTS:
                    self._cut()
        _current.set(self)
        current_step.set(None)

    def _step_back(self) -> None:
        run, in_flight = _going_on(self, None)
        _current.set(run)
        current_step.set(in_flight)

    def _cut(self) -> None:
        """Let go of the bare starts around this run; keep the nearest block."""
        outer = self._outer
        while outer is not None and outer._bare_starts:
            outer = outer._outer
        self._outer, self._bare_starts = outer, 1

    def __enter__(self) -> Self:
        if _current.get() is not self:
            self._activate()
        # The frame of the block holds this run and the ones around it anyway.
        self._bare_starts = 0
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_ended = True
        # A bare start inside the block that nobody ended does not outlive the block as the current run.
        inner = _current.get()
        while inner is not None and inner is not self:
            inner = inner._outer
        if inner is self:
            self._step_back()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def __repr__(self) -> str:
        agent = f" agent={self.agent!r}" if self.agent is not None else ""
        parent = f" parent={self.parent_run_id}" if self.parent_run_id is not None else ""
        return f"<RunContext {self.run_id}{agent}{parent}{' ended' if self._is_ended else ''}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), {name: getattr(self, name) for name in _PICKLED})


_PICKLED = (
    "run_id",
    "agent",
    "parent_run_id",
    "parent_step",
    "root_run_id",
    "session_id",
    "metadata",
    "trace_flags",
    "tracestate",
    "_trace_id",
    "_is_ended",
)


def _rebuild(cls: type[RunContext], fields: dict[str, Any]) -> RunContext:
    run = cls(fields["run_id"], parent=None)
    for name, value in fields.items():
        setattr(run, name, value)
    return run


def _going_on(
    run: RunContext | None, in_flight: tuple[str, int] | None
) -> tuple[RunContext | None, tuple[str, int] | None]:
    """The innermost run from *run* outwards that has not ended, and its step in flight."""
    while run is not None and run._is_ended:
        # A step that outlived its run is not in flight any more; the one around the run may be.
        if in_flight is None or in_flight[0] == run.run_id:
            in_flight = run._outer_step
        run = run._outer
    return run, in_flight


def current_run() -> RunContext | None:
    """Return the innermost run of this context that has not ended, or None."""
    run = _current.get()
    while run is not None and run._is_ended:
        run = run._outer
    return run


def current_run_id() -> RunId | None:
    """Return the id of the current run, or None."""
    run = current_run()
    return None if run is None else run.run_id


def current_link() -> RunLink | None:
    """Return what a run, process or request made here and now would have as its parent, or None.

    The step in flight if there is one, else the current run, else the place another process handed
    to this context, else the run that started this process.
    """
    run, in_flight = _going_on(_current.get(), current_step.get())
    if in_flight is not None:
        run_id, step = in_flight
        return run.link(step) if run is not None and run.run_id == run_id else RunLink(run_id, step=step)
    if run is not None:
        return run.link()
    return _carried_link.get() or run_from_env()


def _link_of(parent: Parent) -> RunLink | None:
    if parent is ...:
        return current_link()
    if parent is None or isinstance(parent, RunLink):
        return parent
    if isinstance(parent, RunContext):
        return parent.link()
    if isinstance(parent, str):
        return RunLink(parent)
    raise TypeError("parent must be a RunContext, a RunLink, a run id or None.")


class use_run:  # noqa: N801 - read as a verb: `with use_run(run):`
    """Make *run* current for a block without ending it after: ``with use_run(run): ...``.

    For work on a run's behalf in a place its context does not reach. None makes a block that
    belongs to no run. Never raises; an ended run is not current inside either.
    """

    __slots__ = ("_run", "_tokens")

    def __init__(self, run: RunContext | None) -> None:
        self._run = run
        self._tokens: tuple[Token[RunContext | None], Token[tuple[str, int] | None]] | None = None

    def __enter__(self) -> RunContext | None:
        self._tokens = _current.set(self._run), current_step.set(None)
        return self._run

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._tokens is not None:
            tokens, self._tokens = self._tokens, None
            try:
                _current.reset(tokens[0])
                current_step.reset(tokens[1])
            except ValueError:
                pass  # Left in another context than it was entered in: nothing of ours is set there.
