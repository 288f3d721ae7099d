//! The page that shows the description.

use crate::fixture::Fixture;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

#[tokio::test(flavor = "multi_thread")]
async fn the_page_and_its_parts_are_served_and_may_load_nothing_from_elsewhere() {
    let fixture = Fixture::new().await;
    for prefix in ["", "/api"] {
        let page = fixture.get(&format!("{prefix}/docs")).await;
        let mut parts = vec![(format!("{prefix}/docs"), "text/html; charset=utf-8")];
        for (part, kind) in
            [("style.css", "text/css; charset=utf-8"), ("script.js", "text/javascript; charset=utf-8")]
        {
            assert!(page.body.contains(&format!("\"docs/{part}\"")), "{}", page.body);
            parts.push((format!("{prefix}/docs/{part}"), kind));
        }
        for (path, kind) in parts {
            let served = fixture.get(&path).await;
            assert_eq!((served.status, served.header("content-type")), (200, Some(kind)), "{path}");
            assert_eq!(served.header("content-security-policy"), Some(POLICY), "{path}");
            assert!(!served.body.contains("http://") && !served.body.contains("https://"), "{path}");
            assert!(!served.body.contains("<script>") && !served.body.contains("style="), "{path}");
        }
        assert!(!fixture.get(&format!("{prefix}/docs/script.js")).await.body.contains("innerHTML"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_served_is_the_one_that_is_committed() {
    let fixture = Fixture::new().await;
    let committed: serde_json::Value = serde_json::from_str(include_str!("../../openapi.json")).unwrap();
    for path in ["/openapi.json", "/api/openapi.json"] {
        let served = fixture.get(path).await;
        assert_eq!(served.header("content-type"), Some("application/json"));
        assert_eq!(served.json(), committed, "{path}");
    }
}
