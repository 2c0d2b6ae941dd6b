"""One try to hand a message to a receiver, and what it came to."""

import asyncio
import email.utils
import ssl
from dataclasses import dataclass
from typing import Final

import httpx

from gateway.webhooks.config import WebhookConfig
from gateway.webhooks.message import Message, SecretUnusable, read_secrets

_ANSWER_BYTES_MAX: Final = 64 * 1024
WAIT_S_MAX: Final = 3600.0
"""The longest a receiver may ask to be left alone, and longer than any pause."""
_GONE: Final = 410
# The message itself is not wanted, and will not be at the next try either.
_UNWANTED: Final = frozenset((400, 405, 409, 411, 413, 414, 415, 422))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """``error`` is "" when the receiver has it. ``wait_s``: the receiver asks to be left alone so long."""

    error: str = ""
    wait_s: float | None = None
    gone: bool = False
    unwanted: bool = False


class ReceiverUnusable(Exception):
    """A receiver cannot be reached as it is configured; the sentence says what to mend."""


class Sender:
    """Posts to one receiver. Every try reads the secrets anew, so that they can be changed meanwhile.

    Raises:
        SecretUnusable: The secrets cannot be read now.
        ReceiverUnusable: ``ca_file`` cannot be used.
    """

    def __init__(self, config: WebhookConfig) -> None:
        self._config = config
        read_secrets(config.secret_file)
        try:
            trusted = ssl.create_default_context(cafile=config.ca_file)
        except OSError as error:  # what OpenSSL finds wrong with the content is one too
            raise ReceiverUnusable(
                f"webhook: {config.ca_file} cannot be used: {error.strerror or error}"
            ) from None
        # No proxies, .netrc or certificates of the environment: the file alone says where alerts go.
        self._client = httpx.AsyncClient(
            verify=trusted,
            timeout=config.timeout_s,
            follow_redirects=False,
            trust_env=False,
            limits=httpx.Limits(max_connections=4, max_keepalive_connections=1),
        )

    async def close(self) -> None:
        """End its connections."""
        await self._client.aclose()

    async def send(self, message: Message, now: float) -> Outcome:
        """Try once; ``now`` is in unix seconds. Never raises for what the receiver or the way does."""
        try:
            headers = message.headers(read_secrets(self._config.secret_file), now)
            request = self._client.stream(
                "POST", self._config.url, content=message.body, headers=headers
            )
            # httpx bounds each step; a receiver that drips would take for ever.
            async with asyncio.timeout(self._config.timeout_s), request as response:
                await _drain(response)
        except SecretUnusable as error:
            return Outcome(error=str(error))
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, TimeoutError) as error:
            # Its text may show the address, and with it a token.
            return Outcome(error=type(error).__name__)
        if response.is_success:
            return Outcome()
        status = response.status_code
        return Outcome(
            error=f"HTTP {status}",
            wait_s=_asked_wait_s(response.headers.get("retry-after", ""), now),
            gone=status == _GONE,
            unwanted=status in _UNWANTED,
        )


async def _drain(response: httpx.Response) -> None:
    """Read what is answered, so that the connection can be used again; not without end."""
    read = 0
    async for chunk in response.aiter_raw():
        read += len(chunk)
        if read > _ANSWER_BYTES_MAX:
            return


def _asked_wait_s(header: str, now: float) -> float | None:
    """Seconds or a date (RFC 9110, 10.2.3); None when there is none that can be read."""
    if header.isascii() and header.isdecimal():
        wait_s = float(header[:9])
    else:
        try:
            wait_s = email.utils.parsedate_to_datetime(header).timestamp() - now
        except (ValueError, TypeError, OverflowError):
            return None
    return min(max(wait_s, 0.0), WAIT_S_MAX)
