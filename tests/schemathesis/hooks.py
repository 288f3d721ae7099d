"""What a description in JSON Schema cannot say of requests, see schemathesis.toml."""

import schemathesis
from hypothesis import strategies as st

# Within the bounds of every duration that can be given.
DURATIONS = ["1s", "+1.5s", "1500ms", "1000000µs", "10s", ".5m"]
# A task is put off until a time to come, before the year 2501.
TIMES = ["2100-01-01T00:00:00Z", "2400-02-29T23:59:59.999999+14:00", "2500-12-31T00:00:00.5-08:00"]

schemathesis.openapi.format("go-duration", st.sampled_from(DURATIONS))
schemathesis.openapi.format("date-time", st.sampled_from(TIMES))
schemathesis.openapi.format("cron", st.sampled_from(["*/5 * * * *", "0 9 * * MON-FRI", "30 0 0 1 1 *"]))
schemathesis.openapi.format("time-zone", st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]))


@schemathesis.hook
def map_body(context, body):
    """Contract 1.4: an integer is a plain literal. To JSON Schema 1.0 is one too."""
    return plain(body)


def plain(value):
    if isinstance(value, dict):
        return {key: plain(it) for key, it in value.items()}
    if isinstance(value, list):
        return [plain(it) for it in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
