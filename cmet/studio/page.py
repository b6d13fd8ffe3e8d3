"""The page: its fields, and which of them speak to each other. What is done then is in `cmet.studio.work`."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cmet.editing.notes import edit_notes
from cmet.editing.queue import CancelledEdit, QueuedEdit, fault_said
from cmet.media.kinds import SOUND_SUFFIXES, VIDEO_SUFFIXES
from cmet.studio import looks
from cmet.studio.gradio_without_stubs import gradio as gr
from cmet.studio.models import OfferedModel, RegisteredModels, missing_models
from cmet.studio.sentences import plain_sentence
from cmet.studio.sessions import MadeVideo, StudioSession
from cmet.studio.wishes import StudioWishes, Way
from cmet.studio.work import LIMITS, Studio

MAX_STRENGTH = 3.0
NUM_ROWS = 3
"""Of the table at first."""

NO_PREVIEW = (
    "This model draws a video as a whole, so nothing can be looked at before it is made. Without a graphics card that "
    "takes long."
)

TAKEN = looks.notes((), [f"Up to {LIMITS.size_bytes >> 20} MiB and {LIMITS.duration_s / 60:g} minutes."])
"""Said before: what is larger the browser refuses by itself, in words of Gradio."""

TABLE_HEAD = ("from (s)", "to (s)", "emotion", "strength")
FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
MONO_FONTS = ("ui-monospace", "Menlo", "Consolas", "monospace")

Updates = dict[Any, Any]
"""New values and looks, by the field."""


def studio_theme() -> gr.Theme:
    """Colours and fonts; no font is fetched from anywhere."""
    return gr.themes.Base(
        primary_hue="indigo",
        neutral_hue="slate",
        radius_size="lg",
        font=[gr.themes.Font(name) for name in FONTS],
        font_mono=[gr.themes.Font(name) for name in MONO_FONTS],
    ).set(
        body_background_fill="#f6f7f9",
        block_border_width="1px",
        block_label_background_fill="white",
        block_label_border_width="0px",
        block_shadow="none",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_text_color="white",
    )


class StudioPage:
    """The fields of one page, and what happens when they are used."""

    def __init__(self, studio: Studio, models: Sequence[OfferedModel], registered: RegisteredModels) -> None:
        """Lay the page out.

        Args:
            studio: What does the work.
            models: Those that are here, the one to begin with first.
            registered: Those that MLflow has besides.
        """
        self.studio, self.registered = studio, registered
        self.models = {model.label: model for model in models}
        self.emotions = sorted({name for model in models for name in model.emotions})
        with gr.Blocks(title="cmet studio", analytics_enabled=False) as self.blocks:
            gr.HTML(looks.masthead())
            with gr.Row(equal_height=False):
                with gr.Column(scale=5, min_width=280):
                    self._lay_out_wishes(models)
                with gr.Column(scale=6, min_width=280, visible=False) as self.right:
                    self._lay_out_results(models)
            self._connect(models)

    def _lay_out_wishes(self, models: Sequence[OfferedModel]) -> None:
        self.video = gr.Video(
            label="Video of one face", sources=["upload", "webcam"], elem_id="video", buttons=[],
            webcam_options=gr.WebcamOptions(mirror=False),
        )  # fmt: skip
        self.about_video = gr.HTML(TAKEN, elem_id="about-video", elem_classes="quiet")
        # a plain field, so that the page itself can write into it
        self.way = gr.Textbox("name", visible=False)
        with gr.Column(visible=False, elem_id="wishes") as self.left:
            with gr.Tabs():
                with gr.Tab("By name", id="name") as by_name:
                    self.emotion = gr.Radio(
                        list(models[0].emotions), show_label=False, container=False, elem_classes="emotions",
                        elem_id="emotion", visible=bool(models[0].emotions),
                    )  # fmt: skip
                    self.has_none = gr.HTML(
                        looks.notes((), ["This model takes recordings of a voice only."]),
                        visible=not models[0].emotions, elem_id="has-none",
                    )  # fmt: skip
                    with gr.Accordion("Mix several", open=False, visible=bool(models[0].emotions)) as self.mix:
                        self.sliders = [
                            gr.Slider(
                                0, 1, 0, step=0.05, label=name, buttons=[], elem_id=f"share-{name}",
                                visible=name in models[0].emotions,
                            )
                            for name in self.emotions
                        ]  # fmt: skip
                with gr.Tab("By voice", id="voice") as by_voice:
                    self.speech, self.spoken = self._recordings("With the emotion", "speech")
                    self.calm, self.calm_spoken = self._recordings("Calm, best by the same voice", "calm")
                    self.is_following = gr.Checkbox(
                        label="Follow the voice as it goes on (one recording, as long as the video)", elem_id="follow"
                    )
                with gr.Tab("By time", id="times") as by_time:
                    self.table = gr.Dataframe(
                        [[""] * 4 for _ in range(NUM_ROWS)], headers=list(TABLE_HEAD), datatype="str", type="array",
                        column_count=4,
                        show_label=False, interactive=True, elem_id="times", buttons=[],
                    )  # fmt: skip
                    gr.HTML(
                        '<p class="absent">An emotion is a word, or a mix: <code>0.5 happy + 0.4 surprised</code>. '
                        "The word <code>voice</code> is what is heard in the recordings. Between the times the face "
                        "stays as it is; a strength may be left out.</p>"
                    )
            self.tabs: dict[Way, gr.Tab] = {"name": by_name, "voice": by_voice, "times": by_time}
            with gr.Accordion("More", open=False):
                with gr.Group(elem_id="models"):
                    self.model = gr.Radio(list(self.models), value=models[0].label, label="Model", elem_id="model")
                    missing = looks.absent(missing_models(models))
                    self.missing = gr.HTML(missing, visible=bool(missing), elem_id="missing")
                self.is_marked = gr.Checkbox(label="Write “AI-edited” into the picture")
                self.is_side_by_side = gr.Checkbox(label="Make a video of before and after side by side, too")

    def _recordings(self, label: str, name: str) -> tuple[gr.File, gr.Audio]:
        kinds = sorted(SOUND_SUFFIXES | VIDEO_SUFFIXES)
        files = gr.File(file_count="multiple", file_types=kinds, label=label, height=140, elem_id=f"{name}-files")
        spoken = gr.Audio(
            sources=["microphone"], type="filepath", label="or record it", elem_id=f"{name}-spoken", buttons=[],
            format="wav",
        )  # fmt: skip
        return files, spoken

    def _lay_out_results(self, models: Sequence[OfferedModel]) -> None:
        with gr.Column() as self.trying:
            self.still = gr.ImageSlider(
                type="filepath", label="Before and after", interactive=False, elem_id="still", buttons=["fullscreen"],
                max_height=480,
            )  # fmt: skip
            self.moment = gr.Slider(0, 1, 0, step=0.04, label="Moment (s)", elem_id="moment", buttons=[])
            with gr.Row():
                self.strength = gr.Slider(
                    0, MAX_STRENGTH, 1, step=0.05, label="Strength", elem_id="strength", buttons=[], scale=3
                )
                self.is_auto = gr.Checkbox(
                    True, label="find it for me", elem_id="auto", scale=1, min_width=120,
                    visible=models[0].finds_strength,
                )  # fmt: skip
            self.found = gr.Number(visible=False)
            self.about_wishes = gr.HTML(elem_id="about-wishes", elem_classes="quiet")
            self.go = gr.Button("Make the video", variant="primary", elem_id="go")
        self.stop = gr.Button("Cancel", elem_id="stop", visible=False)
        self.progress = gr.HTML(elem_id="progress", elem_classes="quiet")
        with gr.Column(visible=False, elem_id="results") as self.results:
            with gr.Row():
                self.before = gr.Video(label="Before", interactive=False, buttons=[], min_width=150)
                self.after = gr.Video(label="After", interactive=False, buttons=[], min_width=150, elem_id="after")
            with gr.Row():
                self.play = gr.Button("Play both", size="sm", min_width=90)
                self.save = gr.DownloadButton("Save", size="sm", variant="primary", elem_id="save", min_width=90)
                self.save_both = gr.DownloadButton("Save side by side", size="sm", visible=False, min_width=90)
            self.about_result = gr.HTML(elem_id="about-result", elem_classes="quiet")
            self.history = gr.Radio([], label="Made so far", visible=False, elem_id="history")

    def _connect(self, models: Sequence[OfferedModel]) -> None:
        fields = self.fields = [
            self.model, self.way, self.emotion, self.speech, self.spoken, self.calm, self.calm_spoken, self.table,
            self.strength, self.is_auto, self.is_marked, self.is_side_by_side, self.is_following, self.moment,
            *self.sliders,
        ]  # fmt: skip
        seen = [self.still, self.about_wishes, self.found]
        made = [self.go, self.stop, self.progress, self.results, self.before, self.after, self.save, self.save_both,
                self.about_result, self.history]  # fmt: skip
        opened = [self.about_video, self.left, self.right, self.trying, self.moment, *seen, *made]
        auto = [self.found, self.is_auto, self.strength]

        def seeing(event: Callable[..., Any]) -> None:
            """Look anew: one at a time and in turn, so that the last picture is of the last fields."""
            how = {"trigger_mode": "always_last", "concurrency_limit": 1, "concurrency_id": "stills"}
            _settle(_listen(event, self.show, fields, seen, **how).then, FOUND, auto, [self.strength])

        shares = f"name => {self.emotions}.map(one => Number(one === name))"
        seeing(_settle(self.emotion.input, shares, [self.emotion], self.sliders).then)
        named = [self.emotion, self.has_none, self.mix, self.is_auto, self.strength, *self.sliders]
        how = {"trigger_mode": "always_last", "concurrency_limit": None}
        # one after the other: what is opened has to find the emotions of the new model
        changed = _listen(self.model.input, self.change_model, fields, named, **how)
        for event in (self.video.change, changed.then):
            reading = _listen(event, self.open_video, [self.video, *fields], opened, **how)
            _settle(reading.then, FOUND, auto, [self.strength])
        for slider in self.sliders:
            seeing(_settle(slider.input, ALONE % self.emotions, self.sliders, [self.emotion]).then)
        seeing(_settle(self.strength.input, "() => false", [], [self.is_auto]).then)
        others = [self.moment.input, self.is_auto.input, self.is_following.input, self.speech.change]
        for event in [*others, self.spoken.change, self.calm.change, self.calm_spoken.change, self.table.input]:
            seeing(event)
        for way, tab in self.tabs.items():
            seeing(_settle(tab.select, f"() => {way!r}", [], [self.way]).then)
        _listen(self.go.click, self.make, fields, made, concurrency_limit=None)
        _listen(self.stop.click, self.cancel, [], [self.stop], concurrency_limit=None)
        _listen(self.history.input, self.show_made, [self.history], made, concurrency_limit=None)
        self.play.click(None, js=PLAY_BOTH)
        # when somebody has the page before them: it must not wait for a model
        self.blocks.load(lambda: self.studio.warm(models[0]), api_visibility="private", show_progress="hidden")
        self.blocks.load(self.list_registered, [], [self.model, self.missing], api_visibility="private",
                         show_progress="hidden")  # fmt: skip
        self.blocks.unload(self.leave)

    def list_registered(self) -> Updates:
        """Offer what MLflow has under an alias, too; the page is there before it answers."""
        offered, missing = self.registered.listed()
        self.models |= {model.label: model for model in offered}
        absent = looks.absent([*missing_models(list(self.models.values())), *missing])
        return {
            self.model: gr.update(choices=list(self.models)),
            self.missing: gr.update(value=absent, visible=bool(absent)),
        }

    def open_video(self, request: gr.Request, video: str | None, *values: Any) -> Iterator[Updates]:
        """Read a video that was given, and show a telling frame of it."""
        session, (wishes, _) = self._session(request), self._read(request, values)
        if video is None:
            self.studio.close_video(session)
            yield {**self._closed(session, TAKEN), **self._earlier(session)}
            return
        try:
            for reading in self.studio.open_video(session, Path(video), wishes.model):
                yield self._closed(session, looks.going(reading.label, reading.done, reading.total))
        except CancelledEdit:
            return
        except Exception as error:
            yield {**self._closed(session, looks.fault(self._said(session, error))), **self._earlier(session)}
            return
        preview, time_s = session.preview, 0.0
        moment = gr.update(visible=False)
        if preview is not None:
            time_s = round(preview.telling_s, 2)
            moment = gr.update(value=time_s, maximum=round(preview.duration_s, 2), visible=True)
        yield {
            self.about_video: "",
            **self._earlier(session),
            **{column: gr.update(visible=True) for column in (self.left, self.right, self.trying)},
            self.moment: moment,
            **self._seen(session, wishes, time_s),
        }

    def show(self, request: gr.Request, *values: Any) -> Updates:
        """One frame as the fields have it."""
        session, (wishes, time_s) = self._session(request), self._read(request, values)
        return self._seen(session, wishes, time_s)

    def change_model(self, request: gr.Request, *values: Any) -> Updates:
        """What another model can be told; what is chosen stays, where it knows that too."""
        wishes, _ = self._read(request, values)
        known, weights = wishes.model.emotions, wishes.weights or {}
        shown = {
            slider: gr.update(value=weights[name] if name in known else 0, visible=name in known)
            for slider, name in zip(self.sliders, self.emotions, strict=True)
        }
        kept = [name for name, weight in weights.items() if weight and name in known]
        alone = kept[0] if len(kept) == 1 and weights[kept[0]] == 1 else None
        # what was found for another model means nothing for one that finds none
        strength = gr.update(value=1) if wishes.strength is None else gr.skip()
        return {
            self.emotion: gr.update(choices=list(known), value=alone, visible=bool(known)),
            self.has_none: gr.update(visible=not known),
            self.mix: gr.update(visible=bool(known)),
            self.is_auto: gr.update(visible=wishes.model.finds_strength),
            self.strength: strength,
            **shown,
        }

    def make(self, request: gr.Request, *values: Any) -> Iterator[Updates]:
        """Make the whole video."""
        session, (wishes, _) = self._session(request), self._read(request, values)
        ready = {self.go: gr.update(interactive=True), self.stop: gr.update(visible=False)}
        busy = {self.go: gr.update(interactive=False), self.stop: gr.update(visible=True, interactive=True)}
        yield {**busy, self.progress: looks.going("beginning", 0, None)}
        edit: QueuedEdit | None = None
        try:
            for edit in self.studio.make(session, wishes):
                yield {self.progress: self._going(edit)}
        except Exception as error:
            yield {**ready, self.progress: looks.fault(self._said(session, error))}
            return
        assert edit is not None
        if edit.state == "done":
            yield {**ready, **self._made(session, session.made[-1])}
        elif edit.state == "failed":
            yield {**ready, self.progress: looks.fault(self._plain(session, edit.fault or ""))}
        else:
            yield {**ready, self.progress: looks.notes((), ["Cancelled; nothing was written."])}

    def cancel(self, request: gr.Request) -> Updates:
        """End what is being made."""
        self.studio.cancel(self._session(request))
        return {self.stop: gr.update(interactive=False)}

    def show_made(self, request: gr.Request, label: str | None) -> Updates:
        """An earlier result of the session."""
        session = self._session(request)
        made = next((one for one in session.made if one.label == label), None)
        # Gradio takes an answer without any field for a wrong one
        return {self.progress: gr.skip()} if made is None else self._made(session, made)

    def leave(self, request: gr.Request) -> None:
        """Somebody has closed the page."""
        self.studio.sessions.end(_name(request))

    def _session(self, request: gr.Request) -> StudioSession:
        return self.studio.sessions.of(_name(request))

    def _read(self, request: gr.Request, values: Sequence[Any]) -> tuple[StudioWishes, float]:
        """What the fields say, and which moment of the video is looked at."""
        (
            model, way, emotion, speech, spoken, calm, calm_spoken, rows, strength, is_auto, is_marked, both, follows,
            time_s, *shares,
        ) = values  # fmt: skip
        session = self._session(request)

        def taken(files: list[str] | None, recorded: str | None) -> tuple[Path, ...]:
            given = [*(files or []), *([recorded] if recorded else [])]
            return tuple(session.take(Path(file)) for file in given)

        weights = dict(zip(self.emotions, shares, strict=True))
        # a model that MLflow has may know emotions for which there are no sliders
        if emotion is not None and emotion not in weights:
            weights = {emotion: 1.0}
        wishes = StudioWishes(
            self.models[model],
            way,
            weights,
            taken(speech, spoken),
            taken(calm, calm_spoken),
            tuple(map(tuple, rows or ())),
            None if is_auto else float(strength),
            bool(is_marked),
            bool(both),
            bool(follows),
        )
        return wishes, float(time_s)

    def _seen(self, session: StudioSession, wishes: StudioWishes, time_s: float) -> Updates:
        """The frame with the change, or as it is beside the reason why there is none."""
        others = [] if wishes.model.shows_preview else [NO_PREVIEW]
        try:
            shown = self.studio.show(session, wishes, time_s)
        except Exception as error:
            before = self.studio.before(session, time_s)
            said = looks.notes((), [self._said(session, error), *others])
            return {
                self.still: _stills(None if before is None else (before, before)),
                self.about_wishes: said,
                self.found: None,
            }
        strengths = {round(one.strength, 2) for one in shown.emotions if one.mean_change}
        found = strengths.pop() if wishes.strength is None and len(strengths) == 1 else None
        named = [replace(one, name=self._plain(session, one.name)) for one in shown.heard]
        warnings = [self._plain(session, one) for one in shown.warnings]
        about = looks.notes(warnings, others) + looks.heard(named)
        return {self.still: _stills(shown.stills), self.about_wishes: about, self.found: found}

    def _closed(self, session: StudioSession, said: str) -> Updates:
        """Without a video; what was made, or is being made, stays."""
        hidden = gr.update(visible=False)
        right = gr.update(visible=bool(session.made) or session.is_making)
        return {self.about_video: said, self.left: hidden, self.right: right, self.trying: hidden}

    def _earlier(self, session: StudioSession) -> Updates:
        """What was made last, with a word where it is of another video than the one that is here now."""
        if session.made:
            return self._made(session, session.made[-1])
        return {} if session.is_making else {self.progress: ""}

    def _going(self, edit: QueuedEdit) -> str:
        before = self.studio.queue.num_before(edit)
        if before:
            return looks.going(f"waiting for {before} other video{'s' if before > 1 else ''}", 0, None)
        return looks.going(edit.label or "beginning", edit.done, edit.total)

    def _made(self, session: StudioSession, made: MadeVideo) -> Updates:
        labels = [one.label for one in session.made]
        return {
            self.progress: "",
            self.results: gr.update(visible=True),
            self.before: made.before,
            self.after: made.path,
            self.save: made.path,
            self.save_both: gr.update(value=made.side_by_side, visible=made.side_by_side is not None),
            self.about_result: self._about(session, made),
            self.history: gr.update(choices=labels, value=made.label, visible=len(labels) > 1),
        }

    def _about(self, session: StudioSession, made: MadeVideo) -> str:
        warnings, notes = made.report.warnings, edit_notes(made.report)
        if made.before != session.video:
            notes = [f"This is of {made.before.name}, which was given before.", *notes]
        loud, quiet = ([self._plain(session, one) for one in said] for said in (warnings, notes))
        return looks.notes(loud, quiet)

    def _said(self, session: StudioSession, error: Exception) -> str:
        return self._plain(session, fault_said(error))

    def _plain(self, session: StudioSession, sentence: str) -> str:
        return plain_sentence(sentence, session.folder)


UNPLAYABLE = """() => document.addEventListener("error", event => {
  if (event.target instanceof HTMLMediaElement) event.stopImmediatePropagation();
}, true)"""
"""Gradio warns of what a browser cannot play; an edit can read more, and what it cannot read the page says itself."""

ALONE = """(...shares) => {
  const mixed = %s.filter((name, number) => shares[number]);
  return mixed.length === 1 && Math.max(...shares) === 1 ? mixed[0] : null;
}"""
"""The button that is pressed, where a mix is one emotion alone."""

FOUND = "(found, isAuto, strength) => isAuto && found !== null ? found : strength"
"""Whoever has moved the slider meanwhile keeps what they chose."""

PLAY_BOTH = """() => {
  const videos = document.querySelectorAll('#results video');
  videos.forEach((video, number) => { video.currentTime = 0; video.muted = number === 0; });
  videos.forEach(video => video.play());
}"""


def _stills(stills: tuple[Path, Path] | None) -> Any:
    """The two pictures, or no place for them."""
    return gr.update(value=stills, visible=stills is not None)


def _name(request: gr.Request) -> str:
    assert request.session_hash is not None
    return request.session_hash


def _listen(
    event: Callable[..., Any], work: Callable[..., Any], inputs: Sequence[Any], outputs: Sequence[Any], **how: Any
) -> Any:
    """Do some work after an event; nobody else can call it, and nothing flickers meanwhile."""
    return event(work, list(inputs), list(outputs), api_visibility="private", show_progress="hidden", **how)


def _settle(event: Callable[..., Any], js: str, inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
    """Let fields follow each other in the browser itself: what is pressed at once after that has to find them right."""
    return event(None, list(inputs), list(outputs), js=js, api_visibility="private", queue=False)
