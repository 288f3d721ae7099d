//! What a failed request is told as: to programs in the words of the contract, to people with what to do next.

use pgmill_client::Error;

/// The words for a failure, without the final line break.
pub(crate) fn text(error: &Error, for_people: bool) -> String {
    if for_people {
        let said = error.reason().map_or_else(|| error.to_string(), str::to_owned);
        let request = error.request_id().map(|id| format!(" (request {id})")).unwrap_or_default();
        let next = next(error).map(|next| format!("\n  {next}")).unwrap_or_default();
        return format!("Error: {said}{request}{next}");
    }
    match (error.status_line(), error.body()) {
        (Some(status), Some(body)) if !error.is_decode() => {
            format!("Error: ErrUnexpectedResponse: {status}: {body}")
        }
        _ => format!("Error: {error}"),
    }
}

/// What to do about it, where that can be known.
fn next(error: &Error) -> Option<&'static str> {
    if error.is_certificate() {
        return Some(
            "Name the authority that the certificate of the server is from with --tls.ca or PGMILL_CA. One that vouches for itself \
             must say that it is no authority: basicConstraints=CA:FALSE.",
        );
    }
    if error.is_connect() {
        return Some(
            "Is the server running? Start one with `pgmill run`, or say where it is with --http.addr or PGMILL_ADDR.",
        );
    }
    if error.is_timeout() {
        return Some("The server may have done it all the same: look before you ask again.");
    }
    Some(match error.code()? {
        "queue_not_found" => {
            "The queue does not exist: create it with `pgmill create-queue NAME`; `pgmill queues` lists those there are."
        }
        "queue_exists" => "Change its settings with `pgmill update-queue NAME`.",
        "ticker_not_found" => {
            "The ticker does not exist: create it with `pgmill create-ticker NAME`; `pgmill tickers` lists those there are."
        }
        "ticker_exists" => "Change its settings with `pgmill update-ticker NAME`.",
        "task_not_found" => {
            "`pgmill tasks` lists the tasks there are; finished ones are removed after a while."
        }
        "task_not_retained" => {
            "Only a task that a worker holds can be completed: `pgmill task ID` tells where it stands."
        }
        "task_finished" => "It has ended: `pgmill retry-task ID` runs it once more.",
        "task_not_finished" => "It has not ended yet: `pgmill task ID` tells where it stands.",
        "lease_required" => "Its retain asked for a lease: pass what it printed as `lease` with --lease.",
        "lease_stale" => {
            "The attempt is over: its lease lapsed, or somebody ended it. The task may run anew."
        }
        "no_patch_values" => "Name at least one setting to change; --help lists them.",
        "missing_payload" => "Name the payload with --payload, such as --payload '{}'.",
        "unauthenticated" => {
            "The server wants a token: set PGMILL_TOKEN. An administrator makes one with `pgmill token`."
        }
        "forbidden" => {
            "The role or the namespaces of this token do not allow it: `pgmill token` makes one that does."
        }
        "namespace_not_served" => {
            "The server serves other namespaces: leave out --namespace, or ask for one of them."
        }
        "path_not_found" => {
            "The server has no such path: is --http.prefix right, and the server as new as this program?"
        }
        "rate_limited" | "too_many_connections" => "Try again in a moment.",
        "unavailable" => "The server cannot reach its database: `pgmill health` tells what is wrong.",
        "outcome_unknown" => "It may have happened all the same: look before you ask again.",
        "internal" => "The cause is in the log of the server, under the number of the request.",
        _ => return None,
    })
}

/// The words for a retain that found nothing, as a server of the contract answers it.
pub(crate) fn no_task_available(for_people: bool) -> &'static str {
    if for_people {
        return "no task is available\n  `pgmill status` tells what waits; with --wait 30s a retain waits for a task.";
    }
    "ErrUnexpectedResponse: 404 Not Found: {\n  \"code\": 404,\n  \"reason\": \"Not Found: no task available\",\n  \"error\": \"no_task_available\"\n}\n"
}
