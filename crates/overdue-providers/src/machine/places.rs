//! Where tools keep their credentials. One line a place; a new tool is a new line.
//!
//! A `*` stands for any part of one name. Nothing here is opened: [`super::credential_files`] looks which of them exist.

use Base::{Config, Data, Home, Root};

/// What a path is relative to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    /// The home folder.
    Home,
    /// `$XDG_CONFIG_HOME`, or `~/.config`.
    Config,
    /// `$XDG_DATA_HOME`, or `~/.local/share`.
    Data,
    /// The file system's root: the machine's own. Looked at where the user who runs the program may read it; what that user
    /// may not read is kept as it should be.
    Root,
}

/// A tool, and where it keeps credentials: a base and a path under it.
pub(super) type Place = (&'static str, Base, &'static str);

/// Well-known places.
pub(super) const PLACES: &[Place] = &[
    // Clouds
    ("AWS CLI", Home, ".aws/credentials"),
    ("AWS CLI", Home, ".aws/config"),
    ("AWS CLI", Home, ".aws/cli/cache/*.json"),
    ("AWS CLI", Home, ".aws/sso/cache/*.json"),
    ("AWS Elastic Beanstalk", Home, ".elasticbeanstalk/*"),
    ("Boto", Home, ".boto"),
    ("Boto", Root, "etc/boto.cfg"),
    ("Google Cloud CLI", Config, "gcloud/application_default_credentials.json"),
    ("Google Cloud CLI", Config, "gcloud/credentials.db"),
    ("Google Cloud CLI", Config, "gcloud/access_tokens.db"),
    ("Google Cloud CLI", Config, "gcloud/legacy_credentials/*/*"),
    ("Google Cloud CLI", Config, "gcloud/configurations/config_*"),
    ("Azure CLI", Home, ".azure/*.json"),
    ("Azure CLI", Home, ".azure/*.bin"),
    ("Azure CLI", Home, ".azure/azureProfile.json"),
    ("Azure Developer CLI", Home, ".azd/auth/*"),
    ("Oracle Cloud CLI", Home, ".oci/*"),
    ("IBM Cloud CLI", Home, ".bluemix/config.json"),
    ("IBM Cloud CLI", Home, ".bluemix/plugins/*/config.json"),
    ("Alibaba Cloud CLI", Home, ".aliyun/config.json"),
    ("Tencent Cloud CLI", Home, ".tccli/*.credential"),
    ("DigitalOcean CLI", Config, "doctl/config.yaml"),
    ("Hetzner CLI", Config, "hcloud/cli.toml"),
    ("Linode CLI", Config, "linode-cli"),
    ("Scaleway CLI", Config, "scw/config.yaml"),
    ("Vultr CLI", Home, ".vultr-cli.yaml"),
    ("Exoscale CLI", Config, "exoscale/exoscale.toml"),
    ("OpenStack", Config, "openstack/*.yaml"),
    ("OpenStack", Root, "etc/openstack/*.yaml"),
    ("Cloudflare Wrangler", Config, ".wrangler/config/*.toml"),
    ("Cloudflare Wrangler", Home, ".wrangler/config/*.toml"),
    ("cloudflared", Home, ".cloudflared/*"),
    // Hosting
    ("Heroku CLI", Home, ".netrc"),
    ("Heroku CLI", Data, "heroku/*.json"),
    ("Fly CLI", Home, ".fly/config.yml"),
    ("Vercel CLI", Data, "com.vercel.cli/auth.json"),
    ("Vercel CLI", Home, "Library/Application Support/com.vercel.cli/auth.json"),
    ("Netlify CLI", Config, "netlify/config.json"),
    ("Netlify CLI", Home, ".netlify/config.json"),
    ("Netlify CLI", Home, "Library/Preferences/netlify/config.json"),
    ("Railway CLI", Home, ".railway/config.json"),
    ("Supabase CLI", Home, ".supabase/access-token"),
    ("Firebase CLI", Config, "configstore/firebase-tools.json"),
    ("Shopify CLI", Config, "shopify-cli-kit-nodejs/config.json"),
    ("Stripe CLI", Config, "stripe/config.toml"),
    ("Twilio CLI", Home, ".twilio-cli/config.json"),
    ("Sentry CLI", Home, ".sentryclirc"),
    ("Datadog", Home, ".dogrc"),
    ("ngrok", Config, "ngrok/ngrok.yml"),
    ("ngrok", Home, ".ngrok2/ngrok.yml"),
    ("Pulumi", Home, ".pulumi/credentials.json"),
    ("Terraform", Home, ".terraform.d/credentials.tfrc.json"),
    ("Terraform", Home, ".terraformrc"),
    ("OpenTofu", Home, ".tofurc"),
    ("Vault", Home, ".vault-token"),
    ("1Password CLI", Config, "op/config"),
    ("Doppler CLI", Home, ".doppler/.doppler.yaml"),
    ("Infisical CLI", Home, ".infisical/infisical-config.json"),
    ("age and SOPS", Config, "sops/age/keys.txt"),
    ("age", Config, "age/*"),
    // Containers
    ("kubectl", Home, ".kube/config"),
    ("kubectl", Home, ".kube/*.yaml"),
    ("kubectl", Home, ".kube/*.yml"),
    ("kubectl", Home, ".kube/*.conf"),
    ("k3s", Root, "etc/rancher/k3s/k3s.yaml"),
    ("kubeadm", Root, "etc/kubernetes/*.conf"),
    ("Docker", Home, ".docker/config.json"),
    ("Docker", Home, ".dockercfg"),
    ("Podman", Config, "containers/auth.json"),
    ("Helm", Config, "helm/repositories.yaml"),
    ("Helm", Config, "helm/registry/config.json"),
    ("Argo CD CLI", Config, "argocd/config"),
    ("OpenShift CLI", Home, ".kube/oc/*"),
    // Package managers
    ("npm", Home, ".npmrc"),
    ("npm", Root, "etc/npmrc"),
    ("Yarn", Home, ".yarnrc"),
    ("Yarn", Home, ".yarnrc.yml"),
    ("pnpm", Config, "pnpm/rc"),
    ("PyPI uploads", Home, ".pypirc"),
    ("pip", Home, ".pip/pip.conf"),
    ("pip", Config, "pip/pip.conf"),
    ("pip", Root, "etc/pip.conf"),
    ("Poetry", Config, "pypoetry/auth.toml"),
    ("Poetry", Config, "pypoetry/config.toml"),
    ("uv", Config, "uv/uv.toml"),
    ("Conda", Home, ".condarc"),
    ("Cargo", Home, ".cargo/credentials"),
    ("Cargo", Home, ".cargo/credentials.toml"),
    ("Cargo", Home, ".cargo/config.toml"),
    ("RubyGems", Home, ".gem/credentials"),
    ("RubyGems", Data, "gem/credentials"),
    ("Bundler", Home, ".bundle/config"),
    ("Composer", Home, ".composer/auth.json"),
    ("Composer", Config, "composer/auth.json"),
    ("Maven", Home, ".m2/settings.xml"),
    ("Maven", Home, ".m2/settings-security.xml"),
    ("Gradle", Home, ".gradle/gradle.properties"),
    ("Gradle", Home, ".gradle/init.gradle"),
    ("sbt", Home, ".sbt/.credentials"),
    ("Ivy", Home, ".ivy2/.credentials"),
    ("NuGet", Home, ".nuget/NuGet/NuGet.Config"),
    ("NuGet", Config, "NuGet/NuGet.Config"),
    ("CocoaPods", Home, ".cocoapods/repos/*/.netrc"),
    ("Hex", Home, ".hex/hex.config"),
    ("Pub", Config, "dart/pub-tokens.json"),
    ("Pub", Config, "dart/pub-credentials.json"),
    ("CPAN uploads", Home, ".pause"),
    ("apt", Root, "etc/apt/auth.conf"),
    ("apt", Root, "etc/apt/auth.conf.d/*"),
    // Source code
    ("git", Home, ".git-credentials"),
    ("git", Config, "git/credentials"),
    ("git", Home, ".gitconfig"),
    ("git", Config, "git/config"),
    ("git", Root, "etc/gitconfig"),
    ("GitHub CLI", Config, "gh/hosts.yml"),
    ("GitLab CLI", Config, "glab-cli/config.yml"),
    ("hub", Config, "hub"),
    ("Gitea CLI", Config, "tea/config.yml"),
    ("GitHub Copilot", Config, "github-copilot/*.json"),
    ("Mercurial", Home, ".hgrc"),
    ("Subversion", Home, ".subversion/auth/svn.simple/*"),
    ("SSH", Home, ".ssh/*"),
    ("SSH", Home, ".ssh/*/*"),
    ("netrc", Home, ".netrc"),
    ("netrc", Home, "_netrc"),
    ("netrc", Root, "etc/netrc"),
    ("curl", Home, ".curlrc"),
    ("curl", Config, "curlrc"),
    ("wget", Home, ".wgetrc"),
    ("HTTPie", Config, "httpie/sessions/*/*.json"),
    // Data
    ("PostgreSQL", Home, ".pgpass"),
    ("PostgreSQL", Home, ".pg_service.conf"),
    ("MySQL", Home, ".my.cnf"),
    ("MySQL", Home, ".mylogin.cnf"),
    ("MySQL", Root, "etc/mysql/debian.cnf"),
    ("MongoDB", Home, ".mongorc.js"),
    ("Redis", Home, ".redisclirc"),
    ("s3cmd", Home, ".s3cfg"),
    ("MinIO client", Home, ".mc/config.json"),
    ("s3fs", Home, ".passwd-s3fs"),
    ("s3fs", Root, "etc/passwd-s3fs"),
    ("rclone", Config, "rclone/rclone.conf"),
    ("rclone", Home, ".rclone.conf"),
    ("Databricks CLI", Home, ".databrickscfg"),
    ("SnowSQL", Home, ".snowsql/config"),
    ("Snowflake", Home, ".snowflake/*.toml"),
    ("Snowflake", Config, "snowflake/*.toml"),
    ("dbt", Home, ".dbt/profiles.yml"),
    ("Kaggle", Home, ".kaggle/kaggle.json"),
    ("ODBC", Home, ".odbc.ini"),
    // Models
    ("OpenAI", Config, "openai/*"),
    ("OpenAI", Home, ".openai/*"),
    ("Codex CLI", Home, ".codex/auth.json"),
    ("Anthropic", Config, "anthropic/*"),
    ("Claude Code", Home, ".claude/.credentials.json"),
    ("Claude Code", Home, ".claude.json"),
    ("Gemini CLI", Home, ".gemini/*.json"),
    ("Hugging Face", Home, ".cache/huggingface/token"),
    ("Hugging Face", Home, ".cache/huggingface/stored_tokens"),
    ("Hugging Face", Home, ".huggingface/token"),
    ("Weights & Biases", Config, "wandb/settings"),
    ("Replicate", Config, "replicate/hosts"),
    ("llm", Config, "io.datasette.llm/keys.json"),
    // Machines and CI
    ("Ansible", Home, ".ansible.cfg"),
    ("Ansible", Home, ".vault_pass*"),
    ("Ansible", Home, ".ansible/vault*"),
    ("Chef", Home, ".chef/*"),
    ("Travis CLI", Home, ".travis/config.yml"),
    ("CircleCI CLI", Home, ".circleci/cli.yml"),
    ("Buildkite CLI", Home, ".buildkite/config.json"),
    ("Jenkins CLI", Home, ".jenkins/*"),
    ("JFrog CLI", Home, ".jfrog/jfrog-cli.conf*"),
    ("GitLab Runner", Root, "etc/gitlab-runner/config.toml"),
    ("OpenVPN", Home, ".openvpn/*"),
    ("WireGuard", Root, "etc/wireguard/*.conf"),
    ("msmtp", Home, ".msmtprc"),
    ("mutt", Home, ".muttrc"),
    ("fetchmail", Home, ".fetchmailrc"),
    ("Postfix", Root, "etc/postfix/sasl_passwd"),
    ("systemd", Config, "environment.d/*.conf"),
    ("systemd", Config, "systemd/user/*.service"),
    ("the machine's environment", Root, "etc/environment"),
    ("PAM", Home, ".pam_environment"),
    ("the shell", Home, ".env"),
    ("the shell", Home, ".envrc"),
    ("the shell", Home, ".profile"),
    ("bash", Home, ".bash_profile"),
    ("bash", Home, ".bashrc"),
    ("bash", Home, ".bash_aliases"),
    ("zsh", Home, ".zshrc"),
    ("zsh", Home, ".zshenv"),
    ("zsh", Home, ".zprofile"),
    ("fish", Config, "fish/config.fish"),
    ("fish", Config, "fish/fish_variables"),
    // What was typed
    ("bash history", Home, ".bash_history"),
    ("zsh history", Home, ".zsh_history"),
    ("zsh history", Home, ".zhistory"),
    ("fish history", Data, "fish/fish_history"),
    ("PostgreSQL history", Home, ".psql_history"),
    ("MySQL history", Home, ".mysql_history"),
    ("SQLite history", Home, ".sqlite_history"),
    ("Redis history", Home, ".rediscli_history"),
    ("MongoDB history", Home, ".mongodb/mongosh/*_repl_history"),
    ("Python history", Home, ".python_history"),
    ("Node history", Home, ".node_repl_history"),
    ("IRB history", Home, ".irb_history"),
    ("less history", Home, ".lesshst"),
];

/// What the value of an environment variable names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moves {
    /// One file.
    File,
    /// Files, with the separator of `PATH` between them.
    Files,
    /// A folder, in which the tool keeps these.
    Folder(&'static [&'static str]),
}

/// Variables that move a tool's files elsewhere.
pub(super) const MOVED: &[(&str, &str, Moves)] = &[
    ("AWS_SHARED_CREDENTIALS_FILE", "AWS CLI", Moves::File),
    ("AWS_CONFIG_FILE", "AWS CLI", Moves::File),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS CLI", Moves::File),
    ("BOTO_CONFIG", "Boto", Moves::File),
    ("GOOGLE_APPLICATION_CREDENTIALS", "Google Cloud", Moves::File),
    (
        "CLOUDSDK_CONFIG",
        "Google Cloud CLI",
        Moves::Folder(&["application_default_credentials.json", "credentials.db", "access_tokens.db", "legacy_credentials/*/*"]),
    ),
    ("AZURE_CONFIG_DIR", "Azure CLI", Moves::Folder(&["*.json", "*.bin"])),
    ("OCI_CLI_CONFIG_FILE", "Oracle Cloud CLI", Moves::File),
    ("KUBECONFIG", "kubectl", Moves::Files),
    ("DOCKER_CONFIG", "Docker", Moves::Folder(&["config.json"])),
    ("REGISTRY_AUTH_FILE", "Podman", Moves::File),
    ("NPM_CONFIG_USERCONFIG", "npm", Moves::File),
    ("npm_config_userconfig", "npm", Moves::File),
    ("YARN_RC_FILENAME", "Yarn", Moves::File),
    ("PIP_CONFIG_FILE", "pip", Moves::File),
    ("CARGO_HOME", "Cargo", Moves::Folder(&["credentials", "credentials.toml", "config.toml"])),
    ("GRADLE_USER_HOME", "Gradle", Moves::Folder(&["gradle.properties", "init.gradle"])),
    ("COMPOSER_HOME", "Composer", Moves::Folder(&["auth.json"])),
    ("BUNDLE_USER_CONFIG", "Bundler", Moves::File),
    ("NETRC", "netrc", Moves::File),
    ("GH_CONFIG_DIR", "GitHub CLI", Moves::Folder(&["hosts.yml"])),
    ("GLAB_CONFIG_DIR", "GitLab CLI", Moves::Folder(&["config.yml"])),
    ("GIT_CONFIG_GLOBAL", "git", Moves::File),
    ("TF_CLI_CONFIG_FILE", "Terraform", Moves::File),
    ("PULUMI_HOME", "Pulumi", Moves::Folder(&["credentials.json"])),
    ("PGPASSFILE", "PostgreSQL", Moves::File),
    ("PGSERVICEFILE", "PostgreSQL", Moves::File),
    ("MYSQL_HOME", "MySQL", Moves::Folder(&["my.cnf"])),
    ("RCLONE_CONFIG", "rclone", Moves::File),
    ("DATABRICKS_CONFIG_FILE", "Databricks CLI", Moves::File),
    ("DBT_PROFILES_DIR", "dbt", Moves::Folder(&["profiles.yml"])),
    ("KAGGLE_CONFIG_DIR", "Kaggle", Moves::Folder(&["kaggle.json"])),
    ("HF_TOKEN_PATH", "Hugging Face", Moves::File),
    ("HF_HOME", "Hugging Face", Moves::Folder(&["token", "stored_tokens"])),
    ("CODEX_HOME", "Codex CLI", Moves::Folder(&["auth.json"])),
    ("SOPS_AGE_KEY_FILE", "age and SOPS", Moves::File),
    ("ANSIBLE_VAULT_PASSWORD_FILE", "Ansible", Moves::File),
    ("HISTFILE", "shell history", Moves::File),
];

/// Files in `~/.ssh` that hold no private key.
pub(super) fn is_harmless_ssh(name: &str) -> bool {
    name.ends_with(".pub") || matches!(name, "known_hosts" | "known_hosts.old" | "config" | "authorized_keys" | "authorized_keys2")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_relative_and_named_once() {
        let mut seen = std::collections::BTreeSet::new();
        for (tool, base, path) in PLACES {
            assert!(!tool.is_empty() && !path.starts_with('/') && !path.contains("..") && !path.contains('~'), "{tool}: {path}");
            assert!(seen.insert((tool, format!("{base:?}"), path)), "{tool}: {path} twice");
        }
        for (variable, tool, _) in MOVED {
            assert!(!variable.is_empty() && !tool.is_empty());
        }
        assert!(is_harmless_ssh("id_ed25519.pub") && is_harmless_ssh("known_hosts") && !is_harmless_ssh("id_ed25519"));
    }
}
