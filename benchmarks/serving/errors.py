"""Why a figure is not reported. A benchmark that hides a wrong answer measures nothing."""


class BenchmarkError(Exception):
    """Base of everything the benchmark raises on purpose; its text is a sentence for the person who runs it."""


class MissingTool(BenchmarkError):
    """A program this needs is not installed; the sentence has the command that installs it."""


class ServerFailed(BenchmarkError):
    """A server did not start, or ended by itself; the sentence has its last lines."""


class WrongAnswer(BenchmarkError):
    """A server answered, but not what the estimator says."""


class FailedRequests(BenchmarkError):
    """The load saw answers other than 200, or broken connections."""
