//! Which cluster it is and who we are there: by a kubeconfig, or as the pod that we run in.
//!
//! ```text
//!  context, or kubeconfig  ─> that file; else KUBECONFIG; else ~/.kube/config
//!  neither                 ─> the pod's own `ServiceAccount`
//! ```
//!
//! What a person's kubectl has for its current context is never used unless the file is named: it
//! changes under their hands.
//!
//! Source: `clientcmd/api/v1` of client-go; `ExecCredential` of client.authentication.k8s.io.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::timeout;

use super::end::End;
use crate::act::one_line;

/// Where a pod finds who it is.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// How long a program that vouches for us may take: it may ask somebody far away.
const VOUCHING: Duration = Duration::from_secs(20);

/// A server and how we show who we are.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Access {
    pub(super) server: String,
    /// Who vouches for the server, in PEM; without it the system's authorities do.
    pub(super) authorities: Option<Vec<u8>>,
    pub(super) skip_verify: bool,
    /// Another name that the server's certificate has.
    pub(super) server_name: Option<String>,
    pub(super) proxy: Option<String>,
    /// Our certificate and its key, in PEM.
    pub(super) certificate: Option<Vec<u8>>,
    pub(super) token: Token,
}

/// What is shown beside the certificate, if anything.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Token {
    /// Nothing.
    #[default]
    None,
    /// A token.
    Bearer(String),
    /// A token in a file, which is read for each request: it is replaced while it is in use.
    File(PathBuf),
    /// A name and a password.
    Basic(String, String),
}

/// Finds the cluster of an errand.
pub(super) async fn find(kubeconfig: Option<&str>, context: Option<&str>) -> Result<Access, End> {
    if kubeconfig.is_none() && context.is_none() {
        let variable = |name| std::env::var(name).ok();
        let host = variable("KUBERNETES_SERVICE_HOST");
        let port = variable("KUBERNETES_SERVICE_PORT");
        return in_cluster(Path::new(SERVICE_ACCOUNT), host, port);
    }
    let files = match kubeconfig {
        Some(path) => vec![PathBuf::from(path)],
        None => files_of_the_user()?,
    };
    let configs = files.iter().map(|path| Config::read(path)).collect::<Result<Vec<_>, _>>()?;
    of_context(&configs, context).await
}

fn in_cluster(place: &Path, host: Option<String>, port: Option<String>) -> Result<Access, End> {
    let (Some(host), Some(port)) = (host, port) else {
        return Err(End::Refused(
            "this is no pod of a cluster: write `context`, the name of a context of a kubeconfig"
                .into(),
        ));
    };
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    Ok(Access {
        server: format!("https://{host}:{port}"),
        authorities: Some(read(&place.join("ca.crt"))?),
        token: Token::File(place.join("token")),
        ..Access::default()
    })
}

fn files_of_the_user() -> Result<Vec<PathBuf>, End> {
    let named = std::env::var_os("KUBECONFIG").filter(|named| !named.is_empty());
    if let Some(named) = named {
        return Ok(std::env::split_paths(&named).filter(|path| path.is_file()).collect());
    }
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
    let home = home.ok_or_else(|| End::Refused("there is no kubeconfig: no HOME".into()))?;
    Ok(vec![PathBuf::from(home).join(".kube/config")])
}

/// One file, and where it is.
struct Config {
    place: PathBuf,
    content: Value,
}

impl Config {
    fn read(path: &Path) -> Result<Self, End> {
        let text = read(path)?;
        let text = String::from_utf8_lossy(&text);
        let content = serde_saphyr::from_str(&text).map_err(|error| {
            // Of what it says only the place is shown: there are keys in the file.
            let line = error.location().map(|at| format!(", line {}", at.line()));
            let line = line.unwrap_or_default();
            End::Refused(format!("{}{line}: this is no kubeconfig", path.display()))
        })?;
        let place = path.parent().unwrap_or(Path::new("/")).to_owned();
        Ok(Self { place, content })
    }

    /// An entry of one of its lists, by name.
    fn entry(&self, list: &str, name: &str, key: &str) -> Option<Entry<'_>> {
        let entries = self.content[list].as_array()?;
        let entry = entries.iter().find(|entry| entry["name"] == name)?;
        Some(Entry { place: &self.place, value: &entry[key] })
    }
}

/// A cluster, a user or a context of a file, whose paths are seen from where the file is.
#[derive(Clone, Copy)]
struct Entry<'a> {
    place: &'a Path,
    value: &'a Value,
}

impl<'a> Entry<'a> {
    fn text(self, key: &str) -> Option<&'a str> {
        self.value[key].as_str().filter(|text| !text.is_empty())
    }

    /// What stands in the entry itself, else in a file that it names.
    fn data(self, key: &str) -> Result<Option<Vec<u8>>, End> {
        let inline = format!("{key}-data");
        if let Some(data) = self.text(&inline) {
            let decoded = BASE64_STANDARD.decode(data.trim());
            return decoded
                .map(Some)
                .map_err(|_| End::Refused(format!("`{inline}` of the kubeconfig is no base64")));
        }
        self.text(key).map(|path| read(&self.place.join(path))).transpose()
    }
}

async fn of_context(configs: &[Config], context: Option<&str>) -> Result<Access, End> {
    let current = configs.iter().find_map(|config| config.content["current-context"].as_str());
    let Some(context) = context.or(current.filter(|name| !name.is_empty())) else {
        return Err(End::Refused("the kubeconfig has no current context: write `context`".into()));
    };
    let find = |list: &str, name: &str, key: &str| {
        let found = configs.iter().find_map(|config| config.entry(list, name, key));
        found.ok_or_else(|| End::Refused(format!("the kubeconfig has no {key} {name:?}")))
    };
    let named = find("contexts", context, "context")?;
    let of = |key| named.text(key).unwrap_or_default();
    let cluster = find("clusters", of("cluster"), "cluster")?;
    let user = find("users", of("user"), "user")?;
    let Some(server) = cluster.text("server") else {
        let message = format!("cluster {:?} of the kubeconfig has no server", of("cluster"));
        return Err(End::Refused(message));
    };
    let mut access = Access {
        server: server.to_owned(),
        authorities: cluster.data("certificate-authority")?,
        skip_verify: cluster.value["insecure-skip-tls-verify"].as_bool().unwrap_or(false),
        server_name: cluster.text("tls-server-name").map(str::to_owned),
        proxy: cluster.text("proxy-url").map(str::to_owned),
        ..Access::default()
    };
    credentials(user, &mut access).await?;
    Ok(access)
}

async fn credentials(user: Entry<'_>, access: &mut Access) -> Result<(), End> {
    let pair = (user.data("client-certificate")?, user.data("client-key")?);
    if let (Some(certificate), Some(key)) = pair {
        access.certificate = Some(joined(&certificate, &key));
    }
    access.token = if let Some(token) = user.text("token") {
        Token::Bearer(token.to_owned())
    } else if let Some(file) = user.text("tokenFile") {
        Token::File(user.place.join(file))
    } else if let Some(name) = user.text("username") {
        Token::Basic(name.to_owned(), user.text("password").unwrap_or_default().to_owned())
    } else {
        Token::None
    };
    if user.value["auth-provider"].is_object() {
        return Err(End::Refused(
            "`auth-provider` of a kubeconfig is of the past: write `exec` there".into(),
        ));
    }
    if user.value["exec"].is_object() {
        vouched(user, access).await?;
    }
    Ok(())
}

/// Lets a program say who we are, as kubectl does.
async fn vouched(user: Entry<'_>, access: &mut Access) -> Result<(), End> {
    let exec = &user.value["exec"];
    let refuse = |why: String| End::NotNow(format!("the kubeconfig's `exec`: {why}"));
    let program = exec["command"].as_str().unwrap_or_default();
    // One with a slash is seen from where the file is.
    let program =
        if program.contains('/') { user.place.join(program) } else { PathBuf::from(program) };
    let mut spec = json!({ "interactive": false });
    if exec["provideClusterInfo"] == true {
        let authorities = access.authorities.as_ref().map(|data| BASE64_STANDARD.encode(data));
        spec["cluster"] =
            json!({ "server": access.server, "certificate-authority-data": authorities });
    }
    let version = &exec["apiVersion"];
    let info = json!({ "apiVersion": version, "kind": "ExecCredential", "spec": spec });
    let mut command = Command::new(&program);
    command.args(exec["args"].as_array().into_iter().flatten().filter_map(Value::as_str));
    for entry in exec["env"].as_array().into_iter().flatten() {
        if let (Some(name), Some(value)) = (entry["name"].as_str(), entry["value"].as_str()) {
            command.env(name, value);
        }
    }
    command.env("KUBERNETES_EXEC_INFO", info.to_string()).env_remove(crate::act::HAND);
    command.stdin(Stdio::null()).stderr(Stdio::inherit()).kill_on_drop(true);
    let output = timeout(VOUCHING, command.output()).await;
    let output = output.map_err(|_| refuse("it does not end".into()))?;
    let output = output.map_err(|error| refuse(one_line(&error.to_string())))?;
    if !output.status.success() {
        return Err(refuse(format!("{} ended with {}", program.display(), output.status)));
    }
    let said: Value = serde_json::from_slice(&output.stdout)
        .map_err(|_| refuse("what it says is no ExecCredential".into()))?;
    let of = |key: &str| said["status"][key].as_str();
    if let Some(token) = of("token") {
        access.token = Token::Bearer(token.to_owned());
    }
    if let (Some(certificate), Some(key)) = (of("clientCertificateData"), of("clientKeyData")) {
        access.certificate = Some(joined(certificate.as_bytes(), key.as_bytes()));
    }
    Ok(())
}

/// A certificate and its key, in one.
fn joined(certificate: &[u8], key: &[u8]) -> Vec<u8> {
    [certificate, b"\n", key].concat()
}

fn read(path: &Path) -> Result<Vec<u8>, End> {
    std::fs::read(path).map_err(|error| End::Refused(format!("{}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const CONFIG: &str = "
apiVersion: v1
kind: Config
current-context: b
clusters:
- {name: one, cluster: {server: 'https://a:6443', certificate-authority-data: Y2E=}}
- {name: two, cluster: {server: 'https://b:6443', certificate-authority: ca.crt, tls-server-name: c, proxy-url: 'http://p:1'}}
- {name: bare, cluster: {}}
users:
- {name: cert, user: {client-certificate-data: Yw==, client-key-data: aw==}}
- {name: token, user: {token: t}}
- {name: file, user: {tokenFile: tok}}
- {name: basic, user: {username: u, password: p}}
- {name: old, user: {auth-provider: {name: gcp}}}
- {name: exec, user: {exec: {command: ./vouch, args: [a], env: [{name: X, value: why}], apiVersion: client.authentication.k8s.io/v1}}}
- {name: broken, user: {client-certificate-data: '*'}}
contexts:
- {name: a, context: {cluster: one, user: cert}}
- {name: b, context: {cluster: two, user: token}}
- {name: c, context: {cluster: one, user: file}}
- {name: d, context: {cluster: one, user: basic}}
- {name: e, context: {cluster: one, user: old}}
- {name: f, context: {cluster: one, user: exec}}
- {name: g, context: {cluster: bare, user: token}}
- {name: h, context: {cluster: nowhere, user: token}}
- {name: i, context: {cluster: one, user: broken}}
";

    async fn of(directory: &Path, context: Option<&str>) -> Result<Access, String> {
        let path = directory.join("config");
        let found = find(Some(path.to_str().unwrap()), context).await;
        found.map_err(|end| format!("{end:?}"))
    }

    #[tokio::test]
    async fn a_context_names_the_server_and_who_we_are() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("config"), CONFIG).unwrap();
        fs::write(directory.path().join("ca.crt"), "authority").unwrap();
        let a = of(directory.path(), Some("a")).await.unwrap();
        assert_eq!(a.server, "https://a:6443");
        assert_eq!(a.authorities.unwrap(), b"ca");
        assert_eq!(a.certificate.unwrap(), b"c\nk");
        let current = of(directory.path(), None).await.unwrap();
        assert_eq!(current.authorities.unwrap(), b"authority", "a path is seen from the file");
        assert_eq!(current.token, Token::Bearer("t".into()));
        assert_eq!(current.server_name.as_deref(), Some("c"));
        assert_eq!(current.proxy.as_deref(), Some("http://p:1"));
        let token = async |name| of(directory.path(), Some(name)).await.unwrap().token;
        assert_eq!(token("c").await, Token::File(directory.path().join("tok")));
        assert_eq!(token("d").await, Token::Basic("u".into(), "p".into()));
    }

    #[tokio::test]
    async fn a_program_vouches_for_us() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("config"), CONFIG).unwrap();
        let program = directory.path().join("vouch");
        let script = "#!/bin/sh\ncase $KUBERNETES_EXEC_INFO in *ExecCredential*) ;; *) exit 1;; esac\n\
                      echo \"{\\\"status\\\": {\\\"token\\\": \\\"$1-$X\\\"}}\"\n";
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let access = of(directory.path(), Some("f")).await.unwrap();
        assert_eq!(access.token, Token::Bearer("a-why".into()));
        fs::write(&program, "#!/bin/sh\nexit 3\n").unwrap();
        let refused = of(directory.path(), Some("f")).await.unwrap_err();
        assert!(refused.contains("NotNow") && refused.contains("exit status: 3"), "{refused}");
    }

    #[tokio::test]
    async fn what_the_file_does_not_have_is_told_and_no_secret_of_it() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("config"), CONFIG).unwrap();
        for (context, says) in [
            ("nobody", "no context \\\"nobody\\\""),
            ("e", "auth-provider"),
            ("g", "has no server"),
            ("h", "no cluster \\\"nowhere\\\""),
            ("i", "`client-certificate-data` of the kubeconfig is no base64"),
        ] {
            let refused = of(directory.path(), Some(context)).await.unwrap_err();
            assert!(refused.contains("Refused") && refused.contains(says), "{context}: {refused}");
        }
        fs::write(directory.path().join("config"), "users: [{name: secret").unwrap();
        let refused = of(directory.path(), Some("a")).await.unwrap_err();
        assert!(refused.contains("no kubeconfig") && !refused.contains("secret"), "{refused}");
    }

    #[test]
    fn a_pod_is_who_its_service_account_is() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("ca.crt"), "ca").unwrap();
        let at = |host: &str| {
            in_cluster(directory.path(), Some(host.into()), Some("443".into())).unwrap()
        };
        assert_eq!(at("10.0.0.1").server, "https://10.0.0.1:443");
        assert_eq!(at("fd00::1").server, "https://[fd00::1]:443");
        assert_eq!(at("x").token, Token::File(directory.path().join("token")));
        let nowhere = in_cluster(directory.path(), None, None).unwrap_err();
        assert!(matches!(nowhere, End::Refused(why) if why.contains("write `context`")));
    }
}
