"""What a step that the peer tells means here, if it concerns this node. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from node.link_messages import SwitchMessage
from node.roles import Role
from node.situation import (
    ActivateTold,
    ConfirmAsked,
    GiveAsked,
    HeadConfirmed,
    Observation,
    PromiseAsked,
    PromiseGiven,
    SwitchAborted,
    SwitchStep,
)

_SENT_BY_GIVER: Mapping[SwitchStep, bool] = {
    SwitchStep.GIVE: False,
    SwitchStep.CONFIRM: True,
    SwitchStep.CONFIRMED: False,
    SwitchStep.PROMISE: True,
    SwitchStep.PROMISED: False,
    SwitchStep.ACTIVATE: True,
}
"""Who may send a step; `ABORT` comes from either."""


def observation_of(
    message: SwitchMessage, *, role: Role, instance: str, peer_instance: str | None
) -> Observation | None:
    """What the node `instance` of `role` observes when its peer tells it `message`.

    None: the step is void, because it is of another process of either node, or the sender
    may not send it.
    """
    switch = message.switch
    if {switch.giver_instance, switch.taker_instance} != {instance, peer_instance}:
        return None
    by_giver = switch.giver_instance == peer_instance
    if _SENT_BY_GIVER.get(message.step, by_giver) is not by_giver:
        return None
    if message.step is SwitchStep.GIVE and role is Role.MASTER:
        return None
    return _as_observation(message)


def _as_observation(message: SwitchMessage) -> Observation:
    switch, text = message.switch, message.text
    match message.step:
        case SwitchStep.GIVE:
            return GiveAsked(switch)
        case SwitchStep.CONFIRM:
            return ConfirmAsked(switch, text)
        case SwitchStep.CONFIRMED:
            return HeadConfirmed(switch)
        case SwitchStep.PROMISE:
            return PromiseAsked(switch)
        case SwitchStep.PROMISED:
            return PromiseGiven(switch)
        case SwitchStep.ACTIVATE:
            return ActivateTold(switch)
        case SwitchStep.ABORT:
            return SwitchAborted(switch, text)
        case _:
            assert_never(message.step)
