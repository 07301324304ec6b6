"""A web service beside a live client: /status, /balances and /swap at TheOne.

FastAPI runs on hypercorn's Trio worker, in the same run as the client and inside its block: when
the client fails for good, the server ends with it, and nobody is told balances of yesterday::

    python -m pip install fastapi hypercorn
    python examples/web_service.py                               # simulated, in this process
    python examples/web_service.py --url ws://127.0.0.1:8080/    # `trioflex simulate theone`
    curl http://127.0.0.1:8000/balances

Credentials come from the environment (BROKER_API_KEY, BROKER_SECRET_KEY). With --url, /swap swaps
**for real**.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import hypercorn
import hypercorn.trio
import trio
import where
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
from theone_swap import open_theone

import trioflex
from trioflex.venues import theone


class SwapOrder(BaseModel):
    """What POST /swap takes. The caller names the swap, so that it can be found again."""

    client_order_id: str
    amount_in: Decimal
    asset_in: str
    asset_out: str


def service(client: trioflex.Client, sheet: theone.BalanceSheet) -> FastAPI:
    """Make the application. It keeps nothing: the client and the sheet are the caller's."""
    app = FastAPI(title="TheOne, by way of trioflex")

    @app.get("/status")
    async def status() -> dict[str, Any]:
        """Say how the client is; this works during an outage, too."""
        statistics = client.statistics()
        return {
            "ready": client.ready,
            "account": client.account,
            "connections": statistics.connections,
            "balances": "live" if sheet.valid else "stale",
            "unsettled": [repr(ticket) for ticket in client.unsettled],
        }

    @app.get("/balances")
    async def balances() -> dict[str, Decimal]:
        """Answer from memory, or not at all."""
        snapshot = sheet.snapshot()
        if snapshot is None:
            raise HTTPException(503, "not connected; the balances are not known now")
        return {balance.asset: balance.free for balance in snapshot}

    @app.post("/swap")
    async def swap(order: SwapOrder) -> dict[str, str]:
        """Swap, once. What is answered follows what is known."""
        try:
            accepted = await client.request(
                theone.Swap(
                    order.amount_in,
                    order.asset_in,
                    order.asset_out,
                    client_order_id=order.client_order_id,
                )
            )
        except trioflex.LocalProtocolError as wrong:
            raise HTTPException(422, str(wrong)) from wrong
        except trioflex.NotSent as not_sent:
            raise HTTPException(422 if not_sent.permanent else 503, str(not_sent)) from not_sent
        except trioflex.Refused as refused:
            raise HTTPException(409, refused.message) from refused
        except trioflex.OutcomeUnknown as unknown:
            # Not a 5xx: whoever reads one of those will try again.
            raise HTTPException(202, f"{unknown} GET /swap/{order.client_order_id}") from unknown
        return {"order_id": accepted.order_id, "status": accepted.status}

    @app.get("/swap/{client_order_id}")
    async def find(client_order_id: str) -> dict[str, str]:
        """Look for a swap by the caller's name."""
        try:
            found = await theone.find_swap(client, client_order_id=client_order_id)
        except trioflex.RequestError as exc:
            raise HTTPException(503, str(exc)) from exc
        if isinstance(found, theone.NotKnown):
            raise HTTPException(404, f"TheOne knows no swap named {client_order_id}")
        return {"order_id": found.order_id, "status": found.status}

    return app


async def follow_balances(client: trioflex.Client, sheet: theone.BalanceSheet) -> None:
    """Keep the sheet as the venue tells it."""
    async with client.subscribe("balances") as receiver:
        async for event in receiver:
            sheet.apply(event)


async def serve(
    client: trioflex.Client,
    bind: str = "127.0.0.1:8000",
    *,
    task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled."""
    sheet = theone.BalanceSheet()
    config = hypercorn.Config()
    config.bind = [bind]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow_balances, client, sheet)
        await hypercorn.trio.serve(service(client, sheet), config, task_status=task_status)


async def main(arguments: list[str] | None = None) -> None:
    """Open the client, and serve inside its block."""
    options = where.parse(__doc__, arguments, login=theone.Credentials)
    with trio.move_on_after(options.seconds):
        async with open_theone(options) as (client, _):
            await serve(client)


if __name__ == "__main__":
    trio.run(main)
