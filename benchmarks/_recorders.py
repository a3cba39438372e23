"""The recorders compared: ours, the bare write, the article's, and what people use today.

Each is a function of a directory that returns ``record(case) -> call``: a call that
takes no argument and records one step of that case, and nothing else.
"""

from __future__ import annotations

import json
import logging
import os
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from agent_step_log import StepLog
from agent_step_log._records import PlainLlmCall, PlainToolCall
from benchmarks._article import ArticleStepLog

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def end_all() -> None:
    """End every recorder made since the last call."""
    while endings:
        endings.pop(0)()


#: What ends the recorders made so far: threads and handlers left behind would be measured with the next.
endings: list[Callable[[], object]] = []

RUN_ID = "run_0192f3c456787abc8def0123456789ab"


class Case(NamedTuple):
    """One kind of step: its type and its keys, as every recorder gets them."""

    name: str
    kind: str
    fields: dict[str, Any]


SMALL = Case(
    "llm_call, small",
    "llm_call",
    {
        "model": "claude-sonnet-4-6",
        "input_tokens": 1200,
        "output_tokens": 340,
        "stop_reason": "tool_use",
        "duration_ms": 812.5,
    },
)


def tool_case(name: str, size: int) -> Case:
    """A tool call whose record is about *size* bytes of text."""
    output = {"text": "All work and no play makes a dull log. " * (size // 39)}
    return Case(
        name,
        "tool_call",
        {"tool": "search_documents", "input": {"query": "Q3 revenue"}, "output": output, "duration_ms": 12.5},
    )


KILOBYTE = tool_case("tool_call, 1 KB", 900)
LARGE = tool_case("tool_call, 64 KB", 65_000)


def bare_write(directory: Path) -> Callable[[Case], Callable[[], object]]:
    """REF: encode a ready-made struct, add the newline, write(2)."""
    fd = os.open(directory / "bare", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    endings.append(lambda: os.close(fd))
    encode = msgspec.json.Encoder().encode

    def of(case: Case) -> Callable[[], object]:
        head = (RUN_ID, 1, case.kind, time.time())
        record: PlainLlmCall | PlainToolCall
        if case.kind == "llm_call":
            record = PlainLlmCall(*head, **case.fields)
        else:
            record = PlainToolCall(*head, error=None, **case.fields)
        write = os.write
        return lambda: write(fd, encode(record) + b"\n")

    return of


def ours(directory: Path) -> Callable[[Case], Callable[[], object]]:
    """agent-step-log, plain records."""
    log = StepLog(directory / "ours.jsonl", RUN_ID)
    endings.append(log.close)

    def of(case: Case) -> Callable[[], object]:
        fields = case.fields
        if case.kind == "llm_call":
            record = log.record_llm_call
            model, tokens_in, tokens_out = fields["model"], fields["input_tokens"], fields["output_tokens"]
            reason, duration = fields["stop_reason"], fields["duration_ms"]
            return lambda: record(
                model=model,
                input_tokens=tokens_in,
                output_tokens=tokens_out,
                stop_reason=reason,
                duration_ms=duration,
            )
        tool, given, output, duration = (fields[key] for key in ("tool", "input", "output", "duration_ms"))
        call = log.record_tool_call
        return lambda: call(tool=tool, input=given, output=output, duration_ms=duration)

    return of


def ours_measured(directory: Path) -> Callable[[Case], Callable[[], object]]:
    """agent-step-log, the measured form: a beginning and an ending."""
    log = StepLog(directory / "measured.jsonl", RUN_ID)
    endings.append(log.close)

    def of(case: Case) -> Callable[[], object]:
        tool, given, output = (case.fields[key] for key in ("tool", "input", "output"))

        def measured() -> None:
            with log.tool_call(tool, given) as call:
                call.output = output

        return measured

    return of


def article(directory: Path) -> Callable[[Case], Callable[[], object]]:
    """The article's implementation."""
    log = ArticleStepLog(str(directory / "article.jsonl"), RUN_ID)

    def of(case: Case) -> Callable[[], object]:
        record = log.record_llm_call if case.kind == "llm_call" else log.record_tool_call
        fields = case.fields
        return lambda: record(**fields)

    return of


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps({"ts": record.created, "type": record.msg, **record.__dict__["fields"]})


def stdlib_logging(directory: Path) -> Callable[[Case], Callable[[], object]]:
    """logging.FileHandler with a JSON formatter."""
    logger = logging.Logger("bench")
    handler = logging.FileHandler(directory / "logging.jsonl")
    handler.setFormatter(_JsonFormatter())
    logger.addHandler(handler)
    endings.append(handler.close)
    return lambda case: lambda: logger.info(case.kind, extra={"fields": case.fields})


def structlog_fast(directory: Path) -> Callable[[Case], Callable[[], object]]:
    """structlog as its performance page advises: orjson and BytesLogger."""
    import orjson
    import structlog

    file = (directory / "structlog.jsonl").open("ab")
    endings.append(file.close)
    logger = structlog.wrap_logger(
        structlog.BytesLogger(file),
        processors=[
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(serializer=orjson.dumps),
        ],
        wrapper_class=structlog.BoundLogger,
        cache_logger_on_first_use=True,
    )
    return lambda case: lambda: logger.info(case.kind, **case.fields)


def loguru_serialized(directory: Path) -> Callable[[Case], Callable[[], object]]:
    """loguru with serialize=True."""
    from loguru import logger

    logger.remove()
    logger.add(directory / "loguru.jsonl", serialize=True, format="{message}")
    endings.append(logger.remove)
    return lambda case: lambda: logger.bind(**case.fields).info(case.kind)


def otel(directory: Path, *, batch: bool) -> Callable[[Case], Callable[[], object]]:
    """The OpenTelemetry SDK, a span a step, exported as JSON lines into a file."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SimpleSpanProcessor

    file = (directory / "otel.jsonl").open("a", encoding="utf-8")
    exporter = ConsoleSpanExporter(out=file, formatter=lambda span: span.to_json(indent=None) + "\n")
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(exporter) if batch else SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("bench")
    endings.extend((provider.shutdown, file.close))

    def of(case: Case) -> Callable[[], object]:
        attributes = {
            f"gen_ai.{key}": value if isinstance(value, (str, int, float)) else json.dumps(value)
            for key, value in case.fields.items()
        }

        def span() -> None:
            with tracer.start_as_current_span(case.kind) as current:
                current.set_attributes(attributes)

        return span

    return of


RECORDERS: dict[str, Any] = {
    "bare write (REF)": bare_write,
    "agent-step-log": ours,
    "the article's": article,
    "logging + JSON": stdlib_logging,
    "structlog, fast": structlog_fast,
    "loguru, serialized": loguru_serialized,
    "OpenTelemetry, simple": lambda directory: otel(directory, batch=False),
    "OpenTelemetry, batch": lambda directory: otel(directory, batch=True),
}
