"""Who the VMs are: the list of ids, and one VM."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from models.fleet import MAX_ID_CHARS, Placement, Policy, Vm
from models.minutes import Minute, format_iso
from stream.answer import Subject, standing
from stream.api_deps import State, StateIn, VmId, known_subject, standing_fields
from stream.api_examples import VM_EXAMPLE, VMS_EXAMPLE, example
from stream.api_models import PlacementOut, PolicyOut, VmAnswer, VmBrief, VmsAnswer
from stream.problems import PROBLEMS
from stream.stores.protocols import OneForecast

MAX_PAGE = 1_000

router = APIRouter(tags=["VMs"], responses=PROBLEMS)


@router.get("/v1/vms", operation_id="listVms", summary="VMs by id", responses=example(VMS_EXAMPLE))
def list_vms(
    state: StateIn,
    prefix: Annotated[str, Query(max_length=MAX_ID_CHARS, description="what the ids begin with")] = "",
    cursor: Annotated[str, Query(max_length=MAX_ID_CHARS, description="`next` of the page before")] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
) -> VmsAnswer:
    """A page of VMs in code point order of their ids, each with who answers for it."""
    stores, minute = state.deps.stores, state.now()
    vms = stores.catalogue.page(prefix, cursor, limit + 1)
    shown = vms[:limit]
    forecasts = stores.forecasts.get([(vm.current.block, vm.current.slot) for vm in shown])
    briefs = [_brief(state, vm, forecast, minute) for vm, forecast in zip(shown, forecasts, strict=True)]
    return VmsAnswer(vms=briefs, next=shown[-1].life.vm_id if len(vms) > limit else None)


@router.get("/v1/vms/{vm_id}", operation_id="getVm", summary="One VM", responses=example(VM_EXAMPLE))
def get_vm(state: StateIn, vm_id: VmId) -> VmAnswer:
    """Its life, its placements by time, its policy and how fresh its data are."""
    vm, forecast = known_subject(state.deps.stores, vm_id)
    brief = _brief(state, vm, forecast, state.now())
    return VmAnswer(
        **dict(brief),
        created_at=format_iso(vm.life.created_at),
        memory_mb=vm.life.memory_mb,
        interval_min=vm.life.interval_min,
        policy=_policy(vm.life.policy),
        placements=[_placement(placement) for placement in vm.placements],
    )


def _brief(state: State, vm: Vm, forecast: OneForecast | None, minute: Minute) -> VmBrief:
    known = standing(Subject(vm.life.vm_id, vm, forecast), minute, state.deps.limits)
    return VmBrief(**standing_fields(known), host=vm.current.host, cluster=vm.life.cluster, vcpus=vm.current.vcpus)


def _policy(policy: Policy) -> PolicyOut:
    return PolicyOut(
        timezone=policy.timezone,
        blackout=list(policy.blackout),
        max_load_pct=policy.max_load_pct,
        opt_out=policy.opt_out,
    )


def _placement(placement: Placement) -> PlacementOut:
    return PlacementOut(since=format_iso(placement.from_minute), host=placement.host, vcpus=placement.vcpus)
