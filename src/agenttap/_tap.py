"""`Tap`: what of this process's HTTP traffic is written down, and where."""

from __future__ import annotations

import atexit
import os
import warnings
from contextlib import suppress
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias
from weakref import WeakSet

from agent_run_id import RunContext, RunId, current_run
from agent_step_log import StepLog, __version__
from agent_step_log.errors import MissingExtraError
from agenttap import _hooks
from agenttap._active import active
from agenttap._capture import Capture
from agenttap._recorder import RunRecorder
from agenttap._redact import Redactor, store_key
from agenttap._redact_nothing import NothingRedacted
from agenttap.decoders import recognise
from agenttap.errors import TapWarning

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType

    from agent_step_log import StepAhead

__all__ = ["Logs", "Tap", "Unseen", "install", "uninstall"]

#: What gives a run its log: one log for everything, or a function from the run to its log.
Logs: TypeAlias = "StepLog | Callable[[RunContext], StepLog]"
#: What was noticed and could not be seen: ``(kind, detail)``.
Unseen: TypeAlias = tuple[str, str]

#: Bytes of one body that are kept; longer ones are hashed and counted whole.
MAX_BODY_BYTES = 64 * 1024 * 1024


class Tap:
    """Captures what this process's HTTP clients exchange with models.

    Switched on by `start` (or ``with``), off by `close`. While it is on, every exchange
    with a model goes to the tape of its run, and with a *log* each call of a model and
    each tool call it led to becomes a step. Taps may be nested: the innermost one gets
    the exchange. Safe from any thread; a forked child goes on with a tape of its own.

    Args:
        path: The directory of the tapes, made when needed. Default: where *log* writes;
            without one, ``$AGENT_STEP_LOG_DIR``, else ``./logs``.
        log: Where the steps go: a `StepLog`, or a function that is given the run
            (`agent_run_id.RunContext`) a request belongs to, once for each run, and returns
            its log, which the tap closes when the run has ended. Default: no steps.
        capture: "llm" (default): what is shaped like a call of a model; "all": every request;
            or a function of method and URL.
        content: "on" (default), or "off": no bodies, no outputs; times, sizes, models and
            usage only.
        redact: False leaves secrets in. Default: True; see docs/redaction.md.
        patterns: More to redact: name -> regular expression.
        on_secret: Called as ``on_secret(kind, secret)``; see `Redactor`.
        max_body_bytes: Bytes of one body that are kept. Default: 64 MiB.
        guard: Asked before a request to a model is sent, and given to a *log* that has none. It
            refuses by raising `agent_step_log.errors.CallRefusedError`, which goes on to the
            agent; see `StepLog`. Default: the guard of *log*.

    Attributes:
        unseen: What was noticed and cannot be captured, each named once: ``(kind, detail)``.
        errors: How often something in the tap went wrong. Never the agent's concern.
        last_error: The last of them.

    Raises:
        MissingExtraError: zstandard is not installed.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        log: Logs | None = None,
        capture: Literal["llm", "all"] | Callable[[str, str], bool] = "llm",
        content: Literal["on", "off"] = "on",
        redact: bool = True,
        patterns: Mapping[str, str | re.Pattern[str]] | None = None,
        on_secret: Callable[[str, str], str | None] | None = None,
        max_body_bytes: int = MAX_BODY_BYTES,
        guard: Callable[[StepAhead], object] | None = None,
    ) -> None:
        _require_zstandard()
        if content not in ("on", "off"):
            raise ValueError(f'content must be "on" or "off", not {content!r}')
        if not (callable(capture) or capture in ("llm", "all")):
            raise ValueError(f'capture must be "llm", "all" or a function, not {capture!r}')
        self._log = log
        self._directory = _directory_of(path, log)
        self._capture = capture
        self._keeps_content = content == "on"
        self._redact = redact
        self._patterns, self._on_secret = patterns, on_secret
        self._max_body_bytes = max_body_bytes
        self._guard = guard
        self._redactor: Redactor | None = None
        self._process_run: RunContext | None = None
        self._runs: dict[str, tuple[RunContext | None, RunRecorder]] = {}
        #: The run that was asked for last and its recorder: most often the next as well.
        self._last: tuple[RunContext | None, RunRecorder] | None = None
        # Protects `_runs` and `_redactor`. Reentrant: making a log may run the agent's own code.
        self._lock = RLock()
        self._is_on = False
        self.unseen: list[Unseen] = []
        self.errors = 0
        self.last_error: BaseException | None = None
        _all.add(self)

    # -- on and off ------------------------------------------------------------

    @property
    def is_on(self) -> bool:
        """Whether it captures."""
        return self._is_on

    @property
    def directory(self) -> Path:
        """Where the tapes are."""
        return self._directory

    def start(self) -> Self:
        """Switch it on. Does nothing where it is on."""
        with self._lock:
            if not self._is_on:
                self._is_on = True
                self._process_run = current_run()
                active.append(self)
                _hooks.hold(self._not_seen)
        return self

    def close(
        self, status: Literal["ok", "error", "cancelled"] = "ok", error: BaseException | str | None = None
    ) -> None:
        """Switch it off: hooks out, open exchanges ended, tapes closed. Does nothing the second time.

        Args:
            status, error: How the runs ended whose logs *log* has made; see `StepLog.close`.
        """
        for recorder in self._switch_off():
            self._end(recorder, status, error)

    def _switch_off(self) -> list[RunRecorder]:
        with self._lock:
            if self._is_on:
                self._is_on = False
                with suppress(ValueError):
                    active.remove(self)
                _hooks.release(self._not_seen)
            runs, self._runs, self._last = self._runs, {}, None
        return [recorder for _, recorder in runs.values()]

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close("ok" if error is None else "error", error)

    def tape_paths(self) -> list[Path]:
        """Return the tapes of the runs that are open, oldest first."""
        with self._lock:
            return [recorder.tape.path for _, recorder in self._runs.values()]

    # -- for the hooks ---------------------------------------------------------

    def begin(
        self,
        client: str,
        method: str,
        url: str,
        headers: Iterable[tuple[str | bytes, str | bytes]],
        body: bytes | None,
        *,
        is_streamed: bool = False,
    ) -> Capture | None:
        """Begin one exchange, or return None where it is not wanted; see `_active.begin`.

        Raises:
            CallRefusedError: The guard refuses it; nothing else is raised.
        """
        try:
            api = recognise(method, url, body)
            if api is None and not self._wants(method, url):
                return None
            if body is None and not is_streamed:
                body = b""
            run, is_attributed = self._run()
            recorder = self._recorder(run)
            capture = Capture(recorder, client, method, url, list(headers), body, api)
            capture.is_attributed = is_attributed
            if api is not None and recorder.guard is not None:
                recorder.ask(capture, api, run)
            if not recorder.begin(capture):
                return None
            if is_streamed:
                capture.announce()
        except Exception as error:  # noqa: BLE001  the agent is sending a request
            self._failed(error)
            return None
        return capture

    def _wants(self, method: str, url: str) -> bool:
        if callable(self._capture):
            return bool(self._capture(method, url))
        return self._capture == "all"

    def _run(self) -> tuple[RunContext | None, bool]:
        """Return the run a request made here belongs to, and whether that is known."""
        run = current_run()
        if run is not None:
            return run, True
        # A thread that nobody carried the run into: the run this process was tapped in.
        return self._process_run, self._process_run is None

    def _recorder(self, run: RunContext | None) -> RunRecorder:
        last = self._last
        if last is not None and last[0] is run and not last[1].is_closed:
            return last[1]
        last = self._last = run, self._recorder_of(run)
        return last[1]

    def _recorder_of(self, run: RunContext | None) -> RunRecorder:
        if isinstance(self._log, StepLog):
            run_id = self._log.run_id
        else:
            if run is None:
                run = self._process_run = RunContext()
            run_id = run.run_id
        with self._lock:
            found = self._runs.get(run_id)
            if found is not None and not found[1].is_closed:
                return found[1]
            self._sweep()
            log = self._log if isinstance(self._log, StepLog) else None
            if log is None and callable(self._log) and run is not None:
                log = self._log(run)
            recorder = RunRecorder(
                str(run_id),
                RunId(run_id).safe_name,
                self._directory,
                log,
                self._cleaner(),
                keeps_content=self._keeps_content,
                max_body_bytes=self._max_body_bytes,
                recorder={"name": "agent-step-log", "version": __version__},
                on_error=self._failed,
                guard=self._guard,
            )
            self._runs[run_id] = (run, recorder)
            return recorder

    def _cleaner(self) -> Redactor:
        if self._redactor is None:
            self._directory.mkdir(parents=True, exist_ok=True)
            if self._redact:
                key = store_key(self._directory)
                self._redactor = Redactor(key=key, patterns=self._patterns, callback=self._on_secret)
            else:
                self._redactor = NothingRedacted(key=b"")
        return self._redactor

    def _sweep(self) -> None:
        """End the recorders of runs that have ended and have nothing under way."""
        for run_id, (run, recorder) in list(self._runs.items()):
            if run is not None and run.is_ended and not recorder.open:
                del self._runs[run_id]
                self._end(recorder)

    def _end(
        self,
        recorder: RunRecorder,
        status: Literal["ok", "error", "cancelled"] = "ok",
        error: BaseException | str | None = None,
    ) -> None:
        recorder.close()
        if recorder.log is not None and recorder.log is not self._log:
            recorder.log.close(status, error)

    # -- what goes wrong -------------------------------------------------------

    def _failed(self, error: BaseException) -> None:
        self.errors += 1
        self.last_error = error.with_traceback(None)
        if self.errors == 1:
            _warn(f"agenttap: {type(error).__name__}: {error}. The agent goes on; the tape may have gaps.")

    def _not_seen(self, kind: str, detail: str) -> None:
        with self._lock:
            if any(kind == known for known, _ in self.unseen):
                return
            self.unseen.append((kind, detail))
        _warn(f"agenttap cannot see this traffic: {kind} ({detail})")
        with suppress(Exception):
            if isinstance(self._log, StepLog):
                self._log.event("tap.unseen", {"kind": kind, "detail": detail})

    def _after_fork(self) -> None:
        """In a forked child: the tapes are the parent's; the next exchange begins new ones."""
        self._lock = RLock()
        for _, recorder in self._runs.values():
            recorder.abandon()
        self._runs, self._last = {}, None


def install(path: str | os.PathLike[str] | None = None, **settings: Any) -> Tap:
    """Switch a tap on for the rest of the process, and return it.

    Args:
        path: The directory of the tapes; see `Tap`, whose other settings are taken too.
    """
    tap = Tap(path, **settings)
    _installed.append(tap)
    return tap.start()


def uninstall() -> None:
    """Switch off what `install` switched on: the process is as it was. Does nothing without one."""
    while _installed:
        _installed.pop().close()


def _directory_of(path: str | os.PathLike[str] | None, log: Logs | None) -> Path:
    if path is None and isinstance(log, StepLog):
        return log.path.parent
    return Path(os.path.abspath(path or os.environ.get("AGENT_STEP_LOG_DIR") or "logs"))  # noqa: PTH100


def _require_zstandard() -> None:
    try:
        import zstandard  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "zstandard":
            raise
        message = "The tape needs 'zstandard': pip install 'agent-step-log[tap]'"
        raise MissingExtraError(message) from None


def _warn(sentence: str) -> None:
    # Where warnings are errors, this one must not become the agent's.
    with suppress(Warning):
        warnings.warn(sentence, TapWarning, stacklevel=4)


_installed: list[Tap] = []
_all: WeakSet[Tap] = WeakSet()


def _close_all() -> None:
    for tap in list(_all):
        # A log ends itself at exit, and knows how the program ended.
        for recorder in tap._switch_off():
            recorder.close()


def _fork_all() -> None:
    for tap in list(_all):
        tap._after_fork()


# Before the logs end their runs: handlers run last in, first out, and StepLog's is in already.
atexit.register(_close_all)
os.register_at_fork(after_in_child=_fork_all)
