"""The benchmark of scanners as a Markdown table and an SVG plot."""
import html

OURS = "Overdue"
NO_PEER = {OURS, "Betterleaks, skipping nothing"}
BEGIN, END = "<!-- scanners: begin -->", "<!-- scanners: end -->"
COLOURS = {"Overdue": "#0b6e4f", "Kingfisher": "#3d6fb4", "Betterleaks": "#b4673d", "Gitleaks": "#8a5aa8", "ripsecrets": "#7a7a7a",
           "Betterleaks, skipping nothing": "#d9a98c"}
PLAIN = ("source", "one-file", "small")       # where bytes read from files are bytes scanned
WHAT = {
    "source": "source tree", "one-file": "one large file", "small": "small files", "history": "git history",
    "functions": "function zips", "stdin": "start-up, one line on stdin",
}


def done(results, corpus):
    """The tools that did the corpus, with their figures."""
    return {tool: facts for tool, facts in results["results"].get(corpus, {}).items() if "not_applicable" not in facts and facts["runs"]}


def cost(facts, corpus):
    """CPU seconds; for the start-up, wall seconds."""
    return facts["wall"] if corpus == "stdin" else facts["cpu"]


def fastest_peer(results, corpus):
    """The name and cost of the peer that needs least."""
    peers = {tool: cost(facts, corpus) for tool, facts in done(results, corpus).items() if tool not in NO_PEER}
    return min(peers.items(), key=lambda item: item[1]) if peers else (None, None)


def megabytes(count):
    """Decimal megabytes, or a dash."""
    return "–" if count is None else f"{count / 1e6:,.1f}" if count < 100e6 else f"{count / 1e6:,.0f}"


def size_of(name, held):
    """What a corpus holds, in words."""
    parts = [f"{megabytes(held['bytes'])} MB"]
    if name == "history":
        parts += [f"{held['commits']:,} commits", f"{held['blobs']:,} blobs", f"{megabytes(held['packed'])} MB packed"]
    else:
        parts.append(f"{held['files']:,} file{'s' if held['files'] > 1 else ''}")
    if name == "functions":
        parts.append(f"{megabytes(held['packed'])} MB zipped")
    return ", ".join(parts)


def shown(results, corpus):
    """All tools, without the variants that were not asked."""
    variants = NO_PEER - {OURS}
    return {tool: facts for tool, facts in results["results"][corpus].items() if tool not in variants or facts["runs"]}


def row(results, corpus, tool, facts):
    """One line of the table."""
    if "not_applicable" in facts:
        reason = " ".join(facts["not_applicable"].split()).replace("|", "\\|")
        return f"| {tool} | n/a: {reason[:160]} | | | | | | | |"
    total = results["corpora"][corpus]["bytes"]
    _, least = fastest_peer(results, corpus)
    ratio = f"{least / facts['cpu']:.2f}×" if least and facts["cpu"] else "–"
    read = facts["said_bytes"] or (facts["read_bytes"] if corpus in PLAIN else None)
    if (tool, corpus) == (OURS, "functions"):
        read = None                # its summary counts the zips, not what was in them
    pace = f"{read / 1e6 / facts['cpu']:.1f}" if read else "–"
    fewer = "" if facts["rounds"] == results["rounds"] else f" ({facts['rounds']} of {results['rounds']} rounds)"
    return (f"| {tool}{fewer} | {facts['cpu']:.2f} | {facts['wall']:.2f} | {total / 1e6 / facts['cpu']:.1f} | {ratio} "
            f"| {facts['peak_mib']:.0f} | {megabytes(read)} | {pace} | {facts['findings']:,} |")


def corpus_table(results, corpus):
    """A heading and a row for each tool."""
    lines = [f"### {WHAT[corpus].capitalize()}: {size_of(corpus, results['corpora'][corpus])}", "",
             "| | CPU s | wall s | MB/CPU s | against the fastest peer | peak MiB | MB read | read MB/CPU s | findings |",
             "|---|---:|---:|---:|---:|---:|---:|---:|---:|"]
    lines += [row(results, corpus, tool, facts) for tool, facts in shown(results, corpus).items()]
    return lines + [""]


def start_table(results):
    """Start-up in milliseconds."""
    lines = ["### Start-up: one line on stdin", "", "| | wall ms | CPU ms | peak MiB |", "|---|---:|---:|---:|"]
    for tool, facts in shown(results, "stdin").items():
        if "not_applicable" in facts:
            lines.append(f"| {tool} | n/a: {facts['not_applicable'][:160]} | | |")
        else:
            lines.append(f"| {tool} | {facts['wall'] * 1000:.0f} | {facts['cpu'] * 1000:.0f} | {facts['peak_mib']:.0f} |")
    return lines + [""]


def markdown(results):
    """The whole section."""
    machine = results["machine"]
    versions = ", ".join(f"{name} {facts['version']}" for name, facts in results["tools"].items() if name not in NO_PEER - {OURS})
    scale = "" if results["scale"] == 1 else f" **Corpora at a scale of {results['scale']:g}: a check of the harness, no result.**"
    lines = [
        f"{results['when']}, {machine['cores']} cores ({machine['model']}), shared with other work (load {machine['load']} before, "
        f"{machine.get('load_after', '–')} after).{scale} {versions}. Verification off, default rules, {results['threads']} threads; "
        f"medians of {results['rounds']} round{'s' if results['rounds'] > 1 else ''}, the tools taking turns, peak memory the largest. "
        "What a tool caches for itself (compiled rules) is warm.", "",
        "![MB per CPU second](benchmarks/scanners.svg)", "",
    ]
    for corpus in results["results"]:
        lines += start_table(results) if corpus == "stdin" else corpus_table(results, corpus)
    lines += ["*MB/CPU s* divides what the corpus holds, unpacked, by the CPU seconds, whether or not the tool read all of it; "
              "*MB read* is what the tool says it scanned, else, for plain files, what the kernel counts of its read calls.", "",
              "What each leaves out by default:", ""]
    lines += [f"- {name}: {facts['skips']}." for name, facts in results["tools"].items()]
    return "\n".join(lines) + "\n"


def put_into(document, text):
    """Replaces what stands between the markers."""
    page = document.read_text()
    before, _, rest = page.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"{document.name} has no markers for the table")
    document.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}")


def bar(x, y, width, colour, label, value):
    """A name, a bar and its figure."""
    return (f'<text x="{x - 8}" y="{y + 13}" text-anchor="end">{html.escape(label)}</text>'
            f'<rect x="{x}" y="{y}" width="{max(width, 1):.1f}" height="17" fill="{colour}"/>'
            f'<text x="{x + width + 6:.1f}" y="{y + 13}">{html.escape(value)}</text>')


def panel(results, corpus, top):
    """One corpus: MB per CPU second, or milliseconds for the start-up. Gives the drawing and its height."""
    start = corpus == "stdin"
    unit = "ms, less is better" if start else "MB per CPU second"
    figures = {}
    for tool, facts in done(results, corpus).items():
        figures[tool] = facts["wall"] * 1000 if start else results["corpora"][corpus]["bytes"] / 1e6 / facts["cpu"]
    largest = max(figures.values(), default=1)
    drawn = [f'<text x="10" y="{top + 16}" font-weight="bold">{html.escape(WHAT[corpus])}</text>',
             f'<text x="710" y="{top + 16}" text-anchor="end" fill="#666">{unit}</text>']
    y = top + 26
    for tool in shown(results, corpus):
        if tool in figures:
            drawn.append(bar(210, y, 430 * figures[tool] / largest, COLOURS.get(tool, "#444"), tool, f"{figures[tool]:.0f}"))
        else:
            drawn.append(bar(210, y, 0, "#ccc", tool, "n/a"))
        y += 22
    return "\n".join(drawn), y - top + 12


def svg(results):
    """All corpora below one another."""
    drawn, top = [], 10
    for corpus in results["results"]:
        part, height = panel(results, corpus, top)
        drawn.append(part)
        top += height
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 {top}" width="720" height="{top}" font-family="sans-serif" '
            f'font-size="13"><rect width="720" height="{top}" fill="#fff"/>\n' + "\n".join(drawn) + "\n</svg>\n")
