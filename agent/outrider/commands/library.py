"""`outrider once --all`: every scenario in the box against a sandbox, its own or one that runs already.

`config/library.yaml` says which scenario goes to which of the sandbox's services. Their addresses stand there as
${env:OUTRIDER_SANDBOX} for all that is HTTP and ${env:OUTRIDER_SANDBOX_SWITCH}, say, for the service `switch`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp

from outrider.config import AgentConfig, load_agent
from outrider.resources import shipped

_PATIENCE = aiohttp.ClientTimeout(total=5)


class SandboxError(Exception):
    """There is no sandbox where one should be."""


def load_library(address: str, services: Mapping[str, str]) -> AgentConfig:
    """The configuration of the whole library at a sandbox's addresses. Raises ConfigError."""
    return load_agent(shipped("config") / "library.yaml", environment(address, services))


def environment(address: str, services: Mapping[str, str]) -> dict[str, str]:
    """A sandbox's addresses as `config/library.yaml` names them."""
    return {
        "OUTRIDER_SANDBOX": address,
        **{f"OUTRIDER_SANDBOX_{name.upper()}": url for name, url in services.items()},
    }


@asynccontextmanager
async def own_sandbox() -> AsyncIterator[AgentConfig]:
    """The library at a sandbox that ends with the block. Raises SandboxError."""
    from outrider_sandbox import Settings, serve
    from outrider_sandbox.services import SERVICES

    settings = Settings(port=0, services=dict.fromkeys(SERVICES, 0))
    stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(settings, stop=stop, ready=ready.set_result))
    try:
        await asyncio.wait({serving, ready}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done() and (error := serving.exception()) is not None:
            raise SandboxError(f"cannot start a sandbox: {error}")
        yield load_library(ready.result().http, ready.result().services)
    finally:
        stop.set()
        await asyncio.wait({serving})


async def running_sandbox(address: str) -> AgentConfig:
    """The library at a sandbox that runs already: it tells its services' addresses. Raises SandboxError."""
    try:
        async with aiohttp.ClientSession(timeout=_PATIENCE) as session, session.get(address) as response:
            directory = await response.json()
        services = directory["services"]
        return load_library(address, {str(name): str(url) for name, url in services.items()})
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError, LookupError, TypeError, AttributeError) as error:
        why = str(error) or type(error).__name__
        raise SandboxError(f"there is no sandbox at {address}: {why}; start one with 'outrider sandbox'") from None
