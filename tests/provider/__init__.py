"""A model provider on this machine, for tests: it speaks every API the tap reads, and misbehaves on request.

    with Provider() as provider:
        client = anthropic.Anthropic(base_url=provider.url, api_key="none")
        client.messages.create(model="test-gzip_cut-after-3", ...)
        (served,) = provider.served      what came, what was written when, and what is true of it

It answers each API at its own path (any prefix before it will do), plain or streamed, over HTTP/1.1 and
HTTP/2: a call of the first tool while tools are offered and none has answered, else a text; `_script` says
which. Marks in the model's name make it misbehave; `_behaviours` lists them. It opens nothing but its socket
on 127.0.0.1.
"""

from tests.provider._facts import Answer, Asked, Call, Truth
from tests.provider._gate import Gate
from tests.provider._provider import Provider
from tests.provider._script import TEXT, THOUGHT
from tests.provider._served import Served

__all__ = ["TEXT", "THOUGHT", "Answer", "Asked", "Call", "Gate", "Provider", "Served", "Truth"]
