//! The rule files that come with the program, one for each family of services.

macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        /// Name and text of each.
        pub(crate) const FILES: [(&str, &str); [$($name),+].len()] =
            [$((concat!("rules/", $name), include_str!(concat!("../../rules/", $name)))),+];
    };
}

files! {
    "ai.toml",
    "aws.toml",
    "azure.toml",
    "business.toml",
    "clouds.toml",
    "data.toml",
    "gcp.toml",
    "generic.toml",
    "github.toml",
    "gitlab.toml",
    "keys.toml",
    "messaging.toml",
    "monitoring.toml",
    "packages.toml",
    "payment.toml",
    "source.toml",
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_rule_file_is_built_in() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
        let mut there: Vec<String> = std::fs::read_dir(folder)
            .expect("rules/")
            .map(|entry| format!("rules/{}", entry.expect("entry").file_name().to_string_lossy()))
            .collect();
        there.sort();
        assert_eq!(there, super::FILES.map(|(name, _)| name.to_owned()), "add the file to the list, or remove it");
    }
}
