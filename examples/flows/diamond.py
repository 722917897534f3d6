"""A diamond: one result feeds two steps that run at the same time, and a fourth step joins them.

    python examples/flows/diamond.py

Nothing has to run beforehand: without OMNIQ_FLOW_URL a server starts by itself. The flow can also be served from other terminals, as
many as you like, with `omniq-flow worker examples/flows/diamond.py`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from omniq_flow import NodeState, Run, flow, step, worker


@dataclass(frozen=True)
class Order:
    """What was bought, and where it goes; prices in cents."""

    id: str
    country: str
    prices: list[int]
    grams: int


@dataclass(frozen=True)
class Invoice:
    """An order's price, in cents."""

    order: str
    goods: int
    postage: int
    tax: int
    total: int


@step
def load(order_id: str) -> Order:
    return Order(order_id, "NZ", [1250, 4900, 799], grams=1830)


@step(retries=2, timeout=10)
def postage(country: str, grams: int) -> int:
    time.sleep(0.3)  # a carrier's slow service
    return {"NZ": 2200, "DE": 700}[country] + grams // 100 * 15


@step(retries=2, timeout=10)
def tax(country: str, prices: list[int]) -> int:
    time.sleep(0.3)  # a tax office's slow service
    return sum(prices) * {"NZ": 15, "DE": 19}[country] // 100


@step
def invoice(order: Order, postage: int, tax: int) -> Invoice:
    goods = sum(order.prices)
    return Invoice(order.id, goods, postage, tax, goods + postage + tax)


@flow
def price(order_id: str) -> Invoice:
    order = load(order_id)
    return invoice(order, postage(order.country, order.grams), tax(order.country, order.prices))


def overlap_ms(one: NodeState, other: NodeState) -> int:
    """Return for how many milliseconds two nodes of a run were at work at the same time."""
    if one.began_ms is None or other.began_ms is None or one.ended_ms is None or other.ended_ms is None:
        return 0
    return max(0, min(one.ended_ms, other.ended_ms) - max(one.began_ms, other.began_ms))


def show(run: Run[Invoice]) -> None:
    bill = run.result(timeout=60)
    by_name = {node.name: node for node in run.nodes()}
    print(run.graph())
    print()
    for line, cents in (("goods", bill.goods), ("postage", bill.postage), ("tax", bill.tax), ("total", bill.total)):
        print(f"  {line:<8} {cents / 100:>8.2f}")
    print()
    print(f"postage and tax were asked for side by side for {overlap_ms(by_name['postage'], by_name['tax'])} ms")


def main() -> None:
    with worker(price):
        show(price.start(order_id="A-1001"))


if __name__ == "__main__":
    main()
