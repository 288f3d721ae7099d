//! SQL in every text of every request. Which texts there are is taken from the description of the server, so that a new one
//! is attacked as soon as it is described.

use std::collections::{BTreeMap, BTreeSet};

use pgmill::{QueueMeta, TaskMeta, TickerMeta};
use pgmill_server::Options;
use serde_json::{Map, Value, json};

use crate::fixture::Fixture;
use crate::http::Reply;

const DESCRIPTION: &str = include_str!("../../openapi.json");
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// Ways out of a text, to a function that leaves a trace.
const ATTACKS: [&str; 16] = [
    "'; SELECT public.attacked(); --",
    "' || public.attacked() || '",
    "q' OR public.attacked() IS NULL OR '1'='1",
    "\\'; SELECT public.attacked(); --",
    "\"; SELECT public.attacked(); --",
    "$$; SELECT public.attacked(); $$",
    "$1); SELECT public.attacked(); --",
    "*/ SELECT public.attacked(); /*",
    "{q,\"public.attacked()\"}",
    "(q,public.attacked())",
    "1; SELECT public.attacked()",
    "E'\\047; SELECT public.attacked(); --",
    "\u{2019}; SELECT public.attacked(); --",
    "\u{ff07}; SELECT public.attacked(); --",
    "q\0'; SELECT public.attacked(); --",
    "%' UNION SELECT public.attacked() --",
];

/// What leaves a trace, whoever calls it.
const TRAP: &str = "
    CREATE TABLE public.attack (at timestamptz NOT NULL DEFAULT clock_timestamp());
    CREATE FUNCTION public.attacked() RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS
        $$BEGIN INSERT INTO public.attack DEFAULT VALUES; RETURN 'q'; END$$";

/// Everything that can be called or read in the database, and who may: none of it is the business of a request.
const SHAPE: &str = "
    SELECT md5(string_agg(line, E'\\n' ORDER BY line)) FROM (
        SELECT format('%s %s %s', oid::regclass, relkind, relacl) AS line FROM pg_class
            WHERE relnamespace IN ('pgmill'::regnamespace, 'public'::regnamespace)
        UNION ALL SELECT format('%s %s', oid::regprocedure, md5(prosrc)) FROM pg_proc
            WHERE pronamespace IN ('pgmill'::regnamespace, 'public'::regnamespace)
        UNION ALL SELECT format('%s %s', rolname, rolsuper) FROM pg_roles
        UNION ALL SELECT format('%s %s', setdatabase, setconfig) FROM pg_db_role_setting
            WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
    ) lines";

/// What stands in the fields that are not attacked, where they must be there.
fn usual(name: &str) -> Value {
    match name {
        "id" => json!("1"),
        "payload" => json!(1),
        "interval" => json!("1h"),
        "role" => json!("viewer"),
        "lease" => json!("0123456789abcdef01234567"),
        _ => json!("q"),
    }
}

/// A place in a request where a text may stand.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Field {
    Path(String),
    Query(String),
    Body(String),
    /// One of several in a body.
    Item(String),
    Header(&'static str),
}

/// An operation, with whatever can be said in it.
struct Operation {
    method: String,
    path: String,
    required: BTreeSet<String>,
    fields: BTreeSet<Field>,
}

/// Headers that the server reads, and that no description names.
const HEADERS: [&str; 8] = [
    "Pgmill-Namespace",
    "X-Request-Id",
    "User-Agent",
    "Authorization",
    "Accept",
    "Traceparent",
    "X-Forwarded-For",
    "X-Real-IP",
];

fn operations() -> Vec<Operation> {
    let description: Value = serde_json::from_str(DESCRIPTION).unwrap();
    let mut operations = Vec::new();
    for (path, methods) in description["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            if !METHODS.contains(&method.as_str()) {
                continue;
            }
            let mut fields: BTreeSet<Field> = HEADERS.map(Field::Header).into();
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let name = parameter["name"].as_str().unwrap().to_owned();
                fields.insert(match parameter["in"].as_str().unwrap() {
                    "path" => Field::Path(name),
                    "query" => Field::Query(name),
                    other => panic!("{name}: nothing is known of parameters in {other}"),
                });
            }
            let mut required = BTreeSet::new();
            let body = &operation["requestBody"]["content"]["application/json"]["schema"];
            gather(&description, body, &mut fields, &mut required);
            operations.push(Operation {
                method: method.to_uppercase(),
                path: path.clone(),
                required,
                fields,
            });
        }
    }
    operations
}

/// The properties of a schema, and of what it is put together from.
fn gather(whole: &Value, schema: &Value, fields: &mut BTreeSet<Field>, required: &mut BTreeSet<String>) {
    if let Some(name) = schema["$ref"].as_str() {
        return gather(whole, whole.pointer(name.trim_start_matches('#')).unwrap(), fields, required);
    }
    for kind in ["allOf", "oneOf", "anyOf"] {
        for part in schema[kind].as_array().into_iter().flatten().filter(|part| part.get("not").is_none()) {
            gather(whole, part, fields, required);
        }
    }
    required.extend(
        schema["required"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap().into()),
    );
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        fields.insert(Field::Body(name.clone()));
        if property.to_string().contains("\"items\"") {
            fields.insert(Field::Item(name.clone()));
        }
    }
}

impl Operation {
    /// A request with this text in this field.
    fn attacked(&self, field: &Field, attack: &str) -> (String, Vec<(&'static str, String)>, String) {
        let mut path = self.path.clone();
        if let Field::Path(name) = field {
            path = path.replace(&format!("{{{name}}}"), &escaped(attack));
        }
        let id = if self.method == "PUT" { "q" } else { "1" };
        path = path.replace("{name}", "q").replace("{id}", id);
        let mut query = vec!["worker=w".to_owned()];
        if let Field::Query(name) = field {
            query.insert(0, format!("{name}={}", escaped(attack)));
        }
        let mut headers = vec![("Content-Type", "application/json".to_owned())];
        if let Field::Header(name) = field {
            headers.push((name, attack.replace(|char: char| char.is_control() || !char.is_ascii(), "")));
        }
        let body = match self.fields.iter().any(|field| matches!(field, Field::Body(_))) {
            false => String::new(),
            true => {
                let mut body: Map<String, Value> =
                    self.required.iter().map(|name| (name.clone(), usual(name))).collect();
                match field {
                    Field::Body(name) => drop(body.insert(name.clone(), json!(attack))),
                    Field::Item(name) => drop(body.insert(name.clone(), json!([attack, "q"]))),
                    Field::Path(_) | Field::Query(_) | Field::Header(_) => {}
                }
                Value::Object(body).to_string()
            }
        };
        (format!("{path}?{}", query.join("&")), headers, body)
    }

    /// The same text in the same field of a body, as a form.
    fn attacked_by_form(&self, field: &Field, attack: &str) -> Option<(String, String)> {
        let Field::Body(name) = field else { return None };
        let (path, ..) = self.attacked(field, attack);
        let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let others = self.required.iter().filter(|other| *other != name);
        let mut pairs = vec![format!("{name}={}", escaped(attack))];
        pairs.extend(others.map(|other| format!("{other}={}", escaped(&text(usual(other))))));
        Some((path, pairs.join("&")))
    }
}

/// Every byte by its number, so that nothing of it is read as a part of the address.
fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

impl Fixture {
    /// How often an attack came through.
    async fn traces(&self) -> i64 {
        let client = self.database.connect().await;
        client.query_one("SELECT count(*) FROM public.attack", &[]).await.unwrap().get(0)
    }

    /// None came through; and one that did would have left a trace.
    async fn assert_unharmed(&self) {
        assert_eq!(self.traces().await, 0);
        self.database.connect().await.batch_execute("SELECT public.attacked()").await.unwrap();
        assert_eq!(self.traces().await, 1);
    }

    async fn shape(&self) -> String {
        self.database.connect().await.query_one(SHAPE, &[]).await.unwrap().get(0)
    }
}

async fn scene() -> Fixture {
    let fixture = Fixture::with(Options::new()).await;
    let manager = &fixture.manager;
    manager.register_queue(QueueMeta::new("q")).await.unwrap();
    manager.register_ticker(TickerMeta::new("q").interval(pgmill::hours(1))).await.unwrap();
    manager.create_task("q", TaskMeta::json(&1).unwrap()).await.unwrap();
    fixture.database.connect().await.batch_execute(TRAP).await.unwrap();
    fixture
}

/// Whether the text came to something, or was refused as one that cannot be used.
#[track_caller]
fn answered(what: &str, reply: &Reply) {
    assert!((200..500).contains(&reply.status), "{what}: {} {}", reply.status, reply.body);
    for hint in ["syntax error", "SQLSTATE", "pgmill.", "unterminated"] {
        let own = reply.status < 400 || what.contains(hint);
        assert!(own || !reply.body.contains(hint), "{what}: {}", reply.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_text_of_any_request_gets_out_of_its_parameter() {
    let fixture = scene().await;
    let shape = fixture.shape().await;
    let mut attacked = BTreeMap::<String, usize>::new();
    for operation in operations() {
        for field in &operation.fields {
            for attack in ATTACKS {
                let (path, headers, body) = operation.attacked(field, attack);
                let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
                let what = format!("{} {path} {field:?} {attack:?}", operation.method);
                let reply =
                    fixture.http.open(&operation.method, &format!("/api{path}"), &headers, &body).await;
                answered(&what, &reply);
                if let Some((path, form)) = operation.attacked_by_form(field, attack) {
                    let form_type = [("Content-Type", "application/x-www-form-urlencoded")];
                    let path = format!("/api{path}");
                    let reply = fixture.http.open(&operation.method, &path, &form_type, &form).await;
                    answered(&format!("{what} as a form"), &reply);
                }
            }
            *attacked.entry(format!("{field:?}")).or_default() += ATTACKS.len();
        }
        assert_eq!(fixture.traces().await, 0, "{} {}", operation.method, operation.path);
    }
    assert_eq!(fixture.shape().await, shape, "tables, functions, roles and settings are as before");
    for field in [
        "Body(\"payload\")",
        "Body(\"cron\")",
        "Query(\"namespace\")",
        "Path(\"name\")",
        "Item(\"namespaces\")",
    ] {
        assert!(attacked.contains_key(field), "{field} was not attacked: {attacked:?}");
    }
    fixture.assert_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_that_may_be_anything_come_back_as_they_went_in() {
    let fixture = scene().await;
    for attack in ATTACKS {
        let queue = json!({ "queue": "texts", "retention": "24h" }).to_string();
        fixture.send("POST", "/api/queue", &queue).await;
        let body = json!({ "queue": "texts", "payload": { attack.replace('\0', ""): attack.replace('\0', "") }, "key": attack });
        let created = fixture.send("POST", "/api/task", &body.to_string()).await;
        if attack.contains('\0') {
            assert_eq!((created.status, created.error().as_str()), (400, "invalid_name"), "{}", created.body);
            continue;
        }
        assert_eq!(created.status, 201, "{}", created.body);
        let again = fixture.send("POST", "/api/task", &body.to_string()).await.json();
        let created = created.json();
        assert_eq!(
            (&again["id"], &created["payload"]),
            (&created["id"], &body["payload"]),
            "the key is the same"
        );
        let retained =
            fixture.send("PUT", &format!("/api/task/texts?worker={}", escaped(attack)), "").await.json();
        assert_eq!((&retained["payload"], &retained["worker"]), (&body["payload"], &json!(attack.trim())));
        let id = &retained["id"];
        let ended = json!({ "result": { "said": attack } }).to_string();
        assert_eq!(fixture.send("PATCH", &format!("/api/task/{id}"), &ended).await.status, 201);
        let task = fixture.get(&format!("/api/task/{id}")).await.json();
        assert_eq!(task["result"]["said"], json!(attack));
    }
    fixture.assert_unharmed().await;
}
