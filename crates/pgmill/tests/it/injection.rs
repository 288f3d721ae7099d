//! SQL in every text that the library takes. The texts of each type are named by taking it apart, so that one with a new field
//! does not compile here until it is looked at.

use pgmill::{
    AuditFilter, AuditMeta, EventFilter, Json, ListRequest, Outcome, QueueMeta, QueueName, Role, TaskFilter,
    TaskMeta, TickerMeta, TokenMeta, hours,
};

use crate::fixture::Fixture;

/// Ways out of a text, to a function that leaves a trace.
const ATTACKS: [&str; 10] = [
    "'; SELECT public.attacked(); --",
    "' || public.attacked() || '",
    "\\'; SELECT public.attacked(); --",
    "\"; SELECT public.attacked(); --",
    "$$; SELECT public.attacked(); $$",
    "{a,\"public.attacked()\"}",
    "(a,public.attacked())",
    "E'\\047; SELECT public.attacked(); --",
    "\u{ff07}; SELECT public.attacked(); --",
    "a\0'; SELECT public.attacked(); --",
];

/// What leaves a trace, whoever calls it.
const TRAP: &str = "
    CREATE TABLE public.attack (at timestamptz NOT NULL DEFAULT clock_timestamp());
    CREATE FUNCTION public.attacked() RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS
        $$BEGIN INSERT INTO public.attack DEFAULT VALUES; RETURN 'a'; END$$";

/// Types with this text wherever one may stand.
struct Texts(&'static str);

impl Texts {
    fn text(&self) -> String {
        self.0.to_owned()
    }

    fn json(&self) -> Json {
        Json::encode(&[self.0.replace('\0', "")]).unwrap()
    }

    fn queue(&self) -> QueueMeta {
        let QueueMeta {
            queue: _,
            ttl: _,
            retries: _,
            retry_delay: _,
            backoff: _,
            max_retry_delay: _,
            retention: _,
            retention_failed: _,
            lease: _,
        } = QueueMeta::new("");
        QueueMeta::new(self.text())
    }

    fn tasks(&self) -> Vec<TaskMeta> {
        let TaskMeta { payload: _, delayed_at: _, delay: _, priority: _, key: _, traceparent: _ } =
            TaskMeta::empty();
        let task = TaskMeta::raw(self.json());
        vec![task.clone().key(self.text()), task.clone().traceparent(self.text()), task]
    }

    fn tickers(&self) -> Vec<TickerMeta> {
        let TickerMeta {
            ticker: _,
            payload: _,
            interval: _,
            cron: _,
            time_zone: _,
            disabled: _,
            queue: _,
            priority: _,
            policy: _,
            catch_up: _,
        } = TickerMeta::new("");
        let good = || TickerMeta { interval: Some(hours(1)), ..TickerMeta::new("t") };
        let cron = || TickerMeta { cron: Some("0 0 * * *".to_owned()), ..TickerMeta::new("t") };
        vec![
            TickerMeta { ticker: self.text(), ..good() },
            TickerMeta { cron: Some(self.text()), ..TickerMeta::new("t") },
            TickerMeta { time_zone: Some(self.text()), ..cron() },
            TickerMeta { queue: Some(self.text()), payload: Some(self.json()), ..good() },
            TickerMeta { queue: Some("q".to_owned()), payload: Some(self.json()), ..good() },
        ]
    }

    fn tokens(&self) -> Vec<TokenMeta> {
        let good = || TokenMeta::new("n", Role::Viewer);
        let TokenMeta { name: _, role: _, namespaces: _, expires_in: _ } = good();
        vec![
            TokenMeta { name: self.text(), ..good() },
            TokenMeta { namespaces: Some(vec![self.text()]), ..good() },
        ]
    }

    fn audit(&self) -> AuditMeta {
        AuditMeta {
            actor: self.text(),
            token_id: None,
            namespace: None,
            action: self.text(),
            target: self.text(),
            request_id: Some(self.text()),
            detail: Some(self.json()),
        }
    }
}

#[tokio::test]
async fn no_text_gets_out_of_its_parameter_and_what_is_taken_comes_back_as_it_went_in() {
    let fixture = Fixture::with_queue().await;
    fixture.sql(TRAP).await;
    for attack in ATTACKS {
        attacked(&fixture, &Texts(attack)).await;
        let row = fixture.client.query_one("SELECT count(*) FROM public.attack", &[]).await.unwrap();
        assert_eq!(row.get::<_, i64>(0), 0, "{attack:?}");
    }
}

async fn attacked(fixture: &Fixture, texts: &Texts) {
    let (manager, attack) = (&fixture.manager, texts.0);
    assert!(manager.with_namespace(attack).is_err());
    assert!(QueueName::new(attack).is_err(), "so that no filter and no event can hold it");
    let EventFilter { queues: _, statuses: _, ids: _ } = EventFilter::default();
    let TaskFilter { queue: _, status: _, after: _, page: _ } = TaskFilter::default();
    assert!(manager.register_queue(texts.queue()).await.is_err());
    assert!(manager.create_queue(texts.queue()).await.is_err());
    assert!(manager.update_queue("q", texts.queue()).await.is_err());
    assert!(manager.get_queue(attack).await.is_err());
    assert!(manager.delete_queue(attack).await.is_err());
    assert!(manager.pause_queue(attack).await.is_err());
    assert!(manager.resume_queue(attack).await.is_err());
    assert!(manager.clean_queue(attack).await.is_err());
    assert!(manager.queue_status(attack).await.is_err());
    assert!(manager.next_task("w", &[attack]).await.is_err());
    assert!(manager.next_ticker_ns(attack).await.is_err());
    assert!(manager.next_tickers(&[attack], 1).await.is_err());
    assert!(manager.verify_token(attack).await.unwrap().is_none());
    for meta in texts.tickers() {
        let named = meta.queue.as_deref() == Some("q");
        assert_eq!(manager.register_ticker(meta.clone()).await.is_ok(), named, "{meta:?}");
        let _ = (manager.create_ticker(meta.clone()).await, manager.update_ticker("t", meta).await);
    }
    assert_eq!(manager.get_ticker("t").await.unwrap().payload, texts.json());
    assert!(manager.get_ticker(attack).await.is_err());
    assert!(manager.delete_ticker(attack).await.is_err());
    for meta in texts.tokens() {
        assert!(manager.create_token(meta, "cli").await.is_err());
    }
    if let Ok(token) = manager.create_token(TokenMeta::new("n", Role::Viewer), attack).await {
        manager.revoke_token(token.token.id).await.unwrap();
    }
    audited(fixture, texts).await;
    for meta in texts.tasks() {
        assert!(manager.create_task(attack, meta.clone()).await.is_err());
        ended(fixture, texts, meta).await;
    }
}

async fn audited(fixture: &Fixture, texts: &Texts) {
    let filter =
        AuditFilter { action: Some(texts.text()), target: Some(texts.text()), page: ListRequest::default() };
    if fixture.manager.record_audit(texts.audit()).await.is_err() {
        assert!(texts.0.contains('\0'), "{:?}", texts.0);
        return;
    }
    let entries = fixture.manager.list_audit(filter).await.unwrap().body;
    let entry = entries.first().expect("it is found by what was recorded");
    let told =
        (entry.actor.as_str(), entry.action.as_str(), entry.target.as_str(), entry.request_id.as_deref());
    assert_eq!(told, (texts.0, texts.0, texts.0, Some(texts.0)));
    assert_eq!(entry.detail, Some(texts.json()));
}

/// A task with this text as its payload, its worker and its result, in each way that tasks are made.
async fn ended(fixture: &Fixture, texts: &Texts, meta: TaskMeta) {
    let (manager, attack) = (&fixture.manager, texts.0);
    let is_good = meta.validate(1 << 20).is_ok();
    let made = [
        manager.create_tasks("q", [meta.clone()]).await.is_ok(),
        manager.create_task_in(&fixture.client, "q", meta.clone()).await.is_ok(),
        manager.create_or_find_task("q", meta.clone()).await.is_ok(),
    ];
    // The second one with a key is one too many.
    assert!(made[2] == is_good && (meta.key.is_some() || made == [is_good; 3]), "{meta:?}: {made:?}");
    let is_worker = !attack.contains('\0');
    let worker = if is_worker { attack } else { "w" };
    assert!(is_worker || manager.next_task(attack, &["q"]).await.is_err());
    while let Some(task) = manager.next_task(worker, &["q"]).await.unwrap() {
        assert_eq!((task.worker.as_deref(), task.payload.as_ref()), (Some(worker), Some(&texts.json())));
        manager.release_task(task.claim().unwrap(), Outcome::Done(texts.json())).await.unwrap();
        assert_eq!(manager.get_task(task.id).await.unwrap().result, Some(texts.json()));
    }
}
