from pathlib import Path

from cmet.editing.emotions.likeness import heard_warnings
from cmet.studio.sentences import plain_sentence

FOLDER = Path("/home/me/.cache/cmet/studio/aa/files/bb")


def test_a_sentence_names_files_and_not_where_they_lie() -> None:
    said = f"{FOLDER}/given/00ff00ff00ff00ff/me.mp4: no face in any frame"
    assert plain_sentence(said, FOLDER) == "me.mp4: no face in any frame"


def test_options_have_the_names_of_the_page() -> None:
    said = "--neutral-speech: recordings of an emotion need calm ones; see --speech and --speech-file"
    assert plain_sentence(said, FOLDER) == (
        "the calm recordings: recordings of an emotion need calm ones; see the recordings and --speech-file"
    )


def test_a_doubt_about_a_voice_names_the_way_out_of_the_page() -> None:
    likeness = {"surprised": 0.8, "fear": 0.7}
    (said,) = heard_warnings("a.wav", likeness)
    assert plain_sentence(said, FOLDER).endswith("give more recordings, or choose it by name")
