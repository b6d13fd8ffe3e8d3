"""What Dagster is told of the project: which versions of its inputs an asset was made of, and what they are now.

Dagster calls an asset *Unsynced* when the version of something it depends on is another one than when it was made. It
knows neither parameters nor code, and does not look beyond the asset right above. So each stage stands on a source of
its own, `dvc/status_<stage>`, whose version changes when DVC calls the stage or anything above it changed. Sections of
params.yaml, raw corpora and weights are sources for a person to look at; DVC alone decides.
"""

import hashlib
import json
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,
    DATA_VERSION_IS_USER_PROVIDED_TAG,
    DATA_VERSION_TAG,
    INPUT_DATA_VERSION_TAG_PREFIX,
    NULL_EVENT_POINTER,
    get_input_data_version_tag,
    get_input_event_pointer_tag,
)

from assets.dvc_project import DvcProject, DvcStage, asset_key
from assets.dvc_state import PARAMS, DvcStatus, overlap
from cmet.text_tables import markdown_text, text_table

INPUTS, STATUS = "inputs", "dvc"
"""Groups of the sources."""


def source_key(source: str) -> dg.AssetKey:
    """Key of something that no stage writes: `params/train`, `weights/edtalk`."""
    file, _, section = source.partition(":")
    if section:
        return dg.AssetKey([Path(file).stem, section])
    return dg.AssetKey([part for part in Path(source).parts if part not in ("/", "..")])


def state_key(name: str) -> dg.AssetKey:
    """Key of what DVC says of a stage: `dvc/status_train_facemesh`."""
    return dg.AssetKey([STATUS, f"status_{asset_key(name).to_python_identifier()}"])


def sources_observed(stages: Sequence[DvcStage]) -> dg.AssetsDefinition:
    """Everything the stages stand on, as assets that are only observed; the sensor does it by itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        decorated = dg.multi_observable_source_asset(name="inputs", specs=_specs(stages), can_subset=True)

    @decorated
    def observed(context: dg.AssetExecutionContext, project: DvcProject) -> Iterator[dg.ObserveResult]:
        look = project.look()
        for key, (version, metadata) in _found(look, look.states).items():
            if key in context.selected_asset_keys:
                yield dg.ObserveResult(key, metadata=metadata, data_version=dg.DataVersion(version))

    return observed


def _specs(stages: Sequence[DvcStage]) -> list[dg.AssetSpec]:
    sources = dict.fromkeys(source for stage in stages for source in stage.sources)
    specs = [
        dg.AssetSpec(source_key(source), description=_description(source), group_name=INPUTS, kinds={_kind(source)})
        for source in sources
    ]
    return specs + [
        dg.AssetSpec(
            state_key(stage.name),
            description=f"What `dvc status {stage.name}` says: whether the code, parameters, weights and inputs of "
            "the stage, and of all stages above it, are those that its outputs were made of.",
            group_name=STATUS,
            kinds={"dvc"},
        )
        for stage in stages
    ]


def made_tags(look: DvcStatus, name: str) -> dict[str, str]:
    """What a materialization says of the versions of a stage and of what it was made of, as Dagster keeps it.

    Args:
        look: In which the stage was looked at.
        name: A stage that has run.
    """
    state = look.states[name]
    assert state.version is not None, f"{name} has never run"
    inputs = {state_key(name): state.recipe}
    for one in state.upstream:
        above = look.states[one]
        is_read = not any(state.has_changed(dep) for dep in state.declared.deps if _reads(dep, above.declared.outs))
        inputs[asset_key(one)] = (above.version or "") if is_read else _older(state.recipe)
    for source in look.sources_of(state):
        if source in state.used:
            is_used = not state.has_changed(source)
            inputs[source_key(source)] = look.sources[source] if is_used else _older(state.used[source])
    return {
        DATA_VERSION_TAG: state.version,
        DATA_VERSION_IS_USER_PROVIDED_TAG: "true",
        CODE_VERSION_TAG: state.code,
        **{get_input_data_version_tag(key): version for key, version in inputs.items()},
        **{get_input_event_pointer_tag(key): NULL_EVENT_POINTER for key in inputs},
    }


def observe(instance: dg.DagsterInstance, look: DvcStatus, names: Iterable[str]) -> int:
    """Tell Dagster what some stages stand on, where it has last heard something else.

    Args:
        instance: Gets the observations.
        look: In which these stages were looked at; the others count as up to date if they were not.
        names: As DVC calls the stages.

    Returns:
        How many observations there were.
    """
    found = _found(look, names)
    new = {key: one for key, one in found.items() if one[0] != _version_observed(instance, key)}
    for key, (version, metadata) in new.items():
        instance.report_runless_asset_event(
            dg.AssetObservation(key, metadata=metadata, tags={DATA_VERSION_TAG: version})
        )
    return len(new)


def is_told(instance: dg.DagsterInstance, look: DvcStatus, name: str) -> bool:
    """Whether Dagster's last materialization of a stage says what DVC says; True where there is nothing to tell.

    A stage that is out of date has to be there as it was made last, and needs to agree in nothing else.
    """
    state = look.states[name]
    if not state.has_outputs:
        return True
    event = instance.get_latest_materialization_event(asset_key(name))
    tags = (event.asset_materialization.tags if event and event.asset_materialization else None) or {}
    wanted = made_tags(look, name)
    decisive = [DATA_VERSION_TAG, get_input_data_version_tag(state_key(name))]
    if not look.out_of_date(name):
        decisive += [tag for tag in wanted if tag.startswith(INPUT_DATA_VERSION_TAG_PREFIX)]
    return all(tags.get(tag) == wanted[tag] for tag in decisive)


def _found(look: DvcStatus, names: Iterable[str]) -> dict[dg.AssetKey, tuple[str, dict[str, Any]]]:
    """Versions and metadata of what some stages stand on."""
    found = {}
    for name in names:
        state = look.states[name]
        found[state_key(name)] = _state_observed(look, name)
        for source in look.sources_of(state):
            found[source_key(source)] = look.sources[source], _source_shown(look, source)
    return found


def _state_observed(look: DvcStatus, name: str) -> tuple[str, dict[str, Any]]:
    """Version and metadata of what DVC says of a stage."""
    changed = look.out_of_date(name)
    if not changed:
        return look.states[name].recipe, {"state": dg.MetadataValue.text("up to date")}
    rows = [
        [markdown_text(asset_key(state.name).to_user_string()), markdown_text(words)]
        for state in changed
        for words in state.changes.values()
    ]
    shown = {
        "state": dg.MetadataValue.text(
            f"out of date: {asset_key(changed[0].name).to_user_string()}, {changed[0].reason}"
        ),
        "why": dg.MetadataValue.md(text_table(["stage", "what is changed"], rows, is_padded=False)),
    }
    return _older(look.states[name].recipe, *(row for cells in rows for row in cells)), shown


def _source_shown(look: DvcStatus, source: str) -> dict[str, Any]:
    file, _, section = source.partition(":")
    if file == PARAMS:
        return {"values": dg.MetadataValue.json({section: look.values.get(section)})}
    return {"path": dg.MetadataValue.path(source)}


def _version_observed(instance: dg.DagsterInstance, key: dg.AssetKey) -> str | None:
    records = instance.fetch_observations(key, limit=1).records
    observation = records[0].asset_observation if records else None
    return (observation.tags or {}).get(DATA_VERSION_TAG) if observation else None


def _reads(dep: str, outs: Sequence[str]) -> bool:
    return any(overlap(dep, out) for out in outs)


def _older(*facts: str) -> str:
    """A version that no source has now."""
    return f"not-{hashlib.md5(json.dumps(facts).encode(), usedforsecurity=False).hexdigest()}"


def _description(source: str) -> str:
    file, _, section = source.partition(":")
    if section:
        return f"`{section}` in {file}; DVC watches the values that a stage declares."
    return f"`{source}`, which no stage writes; DVC watches what is in it."


def _kind(source: str) -> str:
    return "yaml" if source.startswith(PARAMS) else "file"
