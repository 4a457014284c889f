//! Routes, each made with what it asks for.
//!
//! A plain router takes a route without a word about who may use it. This one does not: there is no
//! other way to make one ([`Routes::into_router`] takes no more), and `crates/homeostat/tests/tree/tidy.rs`
//! sees that nobody makes any elsewhere.

use axum::Router;
use axum::extract::Extension;
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware;
use axum::routing::{self, MethodFilter};

use super::gate::{self, Arrival, Gate};

/// Routes that ask for something.
///
/// ```compile_fail
/// # use homeostat::access::Routes;
/// let routes = Routes::<()>::new().get("/metrics", || async { "everything" });
/// ```
///
/// ```
/// # use homeostat::access::{Permission, Routes};
/// let routes = Routes::<()>::new().get("/metrics", Permission::View, || async { "everything" });
/// assert_eq!(routes.listed().len(), 1);
/// ```
#[derive(Debug)]
pub struct Routes<S = ()> {
    router: Router<S>,
    listed: Vec<Listed>,
}

/// One route, for whoever wants to see them all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// By which methods.
    pub methods: Vec<Method>,
    /// Where, as it was written: `/hooks/{name}`.
    pub path: &'static str,
    /// What is asked for.
    pub gate: Gate,
}

impl<S: Clone + Send + Sync + 'static> Default for Routes<S> {
    fn default() -> Self {
        Self { router: Router::new(), listed: Vec::new() }
    }
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// No routes yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what is read. `HEAD` is answered likewise, without a body.
    #[must_use]
    pub fn get<H, T>(self, path: &'static str, gate: impl Into<Gate>, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        self.on(MethodFilter::GET, [Method::GET].into(), path, gate.into(), handler)
    }

    /// Adds what is posted to.
    #[must_use]
    pub fn post<H, T>(self, path: &'static str, gate: impl Into<Gate>, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        self.on(MethodFilter::POST, [Method::POST].into(), path, gate.into(), handler)
    }

    /// Adds what is deleted.
    #[must_use]
    pub fn delete<H, T>(self, path: &'static str, gate: impl Into<Gate>, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        self.on(MethodFilter::DELETE, [Method::DELETE].into(), path, gate.into(), handler)
    }

    /// Adds what may be posted or put, as some senders do.
    #[must_use]
    pub fn post_or_put<H, T>(self, path: &'static str, gate: impl Into<Gate>, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        let filter = MethodFilter::POST.or(MethodFilter::PUT);
        self.on(filter, [Method::POST, Method::PUT].into(), path, gate.into(), handler)
    }

    fn on<H, T>(
        self,
        filter: MethodFilter,
        methods: Vec<Method>,
        path: &'static str,
        gate: Gate,
        handler: H,
    ) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        let Self { router, mut listed } = self;
        listed.push(Listed { methods, path, gate });
        let gated = middleware::from_fn_with_state(gate, gate::stand);
        let route = routing::on(filter, handler).route_layer(gated);
        Self { router: router.route(path, route), listed }
    }

    /// Gives the handlers what they share.
    pub fn with_state(self, state: S) -> Routes {
        Routes { router: self.router.with_state(state), listed: self.listed }
    }
}

impl Routes {
    /// Adds all routes of another.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.listed.extend(other.listed);
        Self { router: self.router.merge(other.router), listed: self.listed }
    }

    /// All that there are.
    pub fn listed(&self) -> &[Listed] {
        &self.listed
    }

    /// The router, for a guard to stand before it: a request that no guard has seen is let in nowhere.
    pub fn into_router(self) -> Router {
        self.router
    }

    /// The router, for a test of its handlers: every request comes from this one.
    pub fn served_to(self, arrival: Arrival) -> Router {
        self.router.layer(Extension(arrival))
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::{Request, StatusCode};
    use homeostat_config::Permission;

    use super::*;
    use crate::access::{Caller, Refusal, Stranger};

    async fn ask(router: Router, method: Method, path: &str) -> StatusCode {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let service = hyper_util::service::TowerToHyperService::new(router);
        hyper::service::Service::call(&service, request).await.unwrap().status()
    }

    fn routes() -> Routes {
        let route = || async { "in" };
        Routes::new()
            .get("/open", Gate::Open, route)
            .get("/enter", Gate::Enter, route)
            .get("/both", Permission::View, route)
            .post("/both", Permission::Operate, route)
            .post_or_put("/put", Permission::Send, route)
    }

    #[tokio::test]
    async fn whom_no_guard_has_seen_is_let_in_nowhere() {
        for (method, path, expected) in [
            (Method::GET, "/open", 200),
            (Method::HEAD, "/open", 200),
            (Method::GET, "/enter", 200),
            (Method::GET, "/both", 401),
            (Method::HEAD, "/both", 401),
            (Method::POST, "/both", 401),
            (Method::PUT, "/put", 401),
            (Method::PUT, "/both", 405),
            (Method::GET, "/none", 404),
        ] {
            let unseen = ask(routes().into_router(), method.clone(), path).await;
            assert_eq!(unseen, expected, "{method} {path}");
            let stranger = routes().served_to(Arrival(Err(Refusal::Unknown(Stranger::Nothing))));
            assert_eq!(ask(stranger, method.clone(), path).await, expected, "{method} {path}");
            let anyone = Arrival(Ok(Caller::anyone("here".into())));
            let known = ask(routes().served_to(anyone), method.clone(), path).await;
            assert_eq!(known, if expected == 401 { 200 } else { expected }, "{method} {path}");
        }
    }

    #[test]
    fn all_routes_are_listed_with_what_they_ask_for() {
        let routes = routes();
        let listed: Vec<_> = routes.listed().iter().map(|route| (route.path, route.gate)).collect();
        assert_eq!(listed[2], ("/both", Gate::To(Permission::View)));
        assert_eq!(listed[3], ("/both", Gate::To(Permission::Operate)));
        assert_eq!(listed.len(), 5);
    }
}
