"""Which neutral sentence belongs to an emotional one."""

NUM_COMMON_MEAD_SENTENCES = 3
NUM_EXTRA_NEUTRAL_MEAD_SENTENCES = 10


def neutral_sentence(corpus: str, sentence: str) -> str:
    """Label of the neutral recording of a sentence.

    MEAD numbers its neutral clips apart: sentences 1 to 3 are common, from there on the neutral number of a
    shared sentence is higher by ten.
    """
    if corpus != "mead" or int(sentence) <= NUM_COMMON_MEAD_SENTENCES:
        return sentence
    return str(int(sentence) + NUM_EXTRA_NEUTRAL_MEAD_SENTENCES).zfill(len(sentence))
