from pathlib import Path

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
