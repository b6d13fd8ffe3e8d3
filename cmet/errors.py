"""Errors that are the caller's to mend; the command line prints them as one message and exits with 2."""


class UserError(Exception):
    """Something outside the program is wrong; the message names the thing, what was expected and the next step."""


class ClipError(UserError):
    """One clip cannot be used; `code` is the quarantine reason, the message tells a person why."""

    def __init__(self, code: str, message: str) -> None:
        """Keep the code apart from the sentence, so that reasons can be counted."""
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        """Code and sentence, as they stand in a quarantine table."""
        return f"{self.code}: {self.message}"
