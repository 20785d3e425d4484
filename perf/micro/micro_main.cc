// SPDX-License-Identifier: BSD-3-Clause
// micro_main — gives the cases of bench_*.c to Google Benchmark and prints its results as one table. An
// iteration is one batch of the case and one of its reference; counters are per operation, medians over
// the iterations. Times that Google Benchmark itself reports are of batches.
#include "bench.h"
#include "instrcount.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <string>
#include <vector>

namespace
{

double median(std::vector<double> v)
{
	const auto middle = v.begin() + static_cast<long>(v.size() / 2);

	std::nth_element(v.begin(), middle, v.end());
	return *middle;
}

void add_counters(benchmark::State &state, const bench_case *c, double cycles, double ref)
{
	const double ns = 1e9 / static_cast<double>(bench_tsc_hz());

	state.counters["cycles"] = cycles;
	state.counters["ns"] = cycles * ns;
	if (c->ref == nullptr)
		return;
	state.counters["ref_cycles"] = ref;
	state.counters["ratio"] = cycles / ref;
	if (c->is_net) {
		state.counters["net_cycles"] = cycles - ref;
		state.counters["net_ns"] = (cycles - ref) * ns;
	}
}

void measure(benchmark::State &state, const bench_case *c)
{
	std::vector<double> runs, refs;

	for (auto _ : state) {
		const double run = bench_run(c);
		const double ref = c->ref != nullptr ? bench_ref(c) : 0;

		if (run < 0 || ref < 0) {
			state.SkipWithError("could not be set up, or gave a wrong result");
			return;
		}
		runs.push_back(run);
		refs.push_back(ref);
		// batches are about a millisecond: this many are enough for a median
		state.SetIterationTime(1e-3);
	}
	add_counters(state, c, median(runs), median(refs));
}

std::string cpu_model()
{
	std::ifstream in("/proc/cpuinfo");
	std::string line;

	while (std::getline(in, line)) {
		if (line.rfind("model name", 0) == 0)
			return line.substr(line.find(':') + 2);
	}
	return "unknown";
}

std::string governor()
{
	std::ifstream in("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
	std::string name;

	return in >> name ? name : "unknown";
}

class Table : public benchmark::BenchmarkReporter
{
	std::map<std::string, const bench_case *> cases;
	std::string subject;
	double low = 0, high = 0; // of the repetitions of the running case
	bool has_failed = false;

	void print(const Run &run)
	{
		const bench_case *c = cases.at(run.run_name.function_name);
		const std::string name = c->name;
		const auto &v = run.counters;

		if (subject != name.substr(0, name.find('/')))
			std::printf("\n");
		subject = name.substr(0, name.find('/'));
		std::printf("%-28s %10.1f %10.1f %5.0f%%", c->name, v.at("cycles").value,
			v.at("ns").value, 100 * (high - low) / v.at("cycles").value);
		if (c->ref != nullptr)
			std::printf("   %-38s %10.1f %6.2f", c->reference, v.at("ref_cycles").value,
				v.at("ratio").value);
		if (c->is_net)
			std::printf(" %9.1f %8.1f", v.at("net_cycles").value, v.at("net_ns").value);
		std::printf("\n");
		std::fflush(stdout);
	}

      public:
	void add(const bench_case *c)
	{
		cases[c->name] = c;
	}

	bool failed() const
	{
		return has_failed;
	}

	bool ReportContext(const Context &) override
	{
		std::printf("cpu       %s, governor %s\n", cpu_model().c_str(), governor().c_str());
		std::printf("tsc       %.1f MHz\n", static_cast<double>(bench_tsc_hz()) / 1e6);
		std::printf("pages     %s\n", bench_pages_name());
		std::printf("build     %s\n\n", MICRO_BUILD);
		std::printf("%-28s %10s %10s %6s   %-38s %10s %6s %9s %8s\n", "", "cycles/op",
			"ns/op", "spread", "reference", "cycles/op", "ratio", "net cyc", "net ns");
		return true;
	}

	// Called with the repetitions of a case and, if there are several, once more with their aggregates.
	void ReportRuns(const std::vector<Run> &runs) override
	{
		for (const Run &run : runs) {
			if (run.error_occurred) {
				std::printf("%-28s FAILED: %s\n",
					run.run_name.function_name.c_str(),
					run.error_message.c_str());
				has_failed = true;
			} else if (run.run_type == Run::RT_Iteration) {
				const double cycles = run.counters.at("cycles").value;

				low = run.repetition_index == 0 ? cycles : std::min(low, cycles);
				high = run.repetition_index == 0 ? cycles : std::max(high, cycles);
				if (run.repetitions == 1)
					print(run);
			} else if (run.aggregate_name == "median") {
				print(run);
			}
		}
	}
};

int usage()
{
	std::fprintf(stderr,
		"usage: micro_bench [--pages=auto|huge|thp|4k] [--flows=N] [--services=N] "
		"[--backends=N] [--large] [--count=NAME]... [--benchmark_…]\n");
	return 2;
}

// Takes NAME=NUMBER.
bool take_number(const char *arg, const char *name, uint32_t *value)
{
	const size_t len = std::strlen(name);

	if (std::strncmp(arg, name, len) != 0)
		return false;
	*value = static_cast<uint32_t>(std::strtoul(arg + len, nullptr, 10));
	return true;
}

// What is to run.
struct Choice {
	bench_pages pages;
	bool is_shaped; // what bench_shape says, and nothing else
	bool is_large;  // with what takes much memory
	std::vector<std::string>
		counted; // cases whose instructions are counted; then nothing is timed
};

// Takes --pages, --large and the shape out of argv.
bool take_options(int *argc, char **argv, Choice *choice)
{
	static const std::map<std::string, bench_pages> names = {{"auto", BENCH_PAGES_AUTO},
		{"huge", BENCH_PAGES_HUGE}, {"thp", BENCH_PAGES_THP}, {"4k", BENCH_PAGES_4K}};
	int n = 1;

	*choice = {BENCH_PAGES_AUTO, false, false, {}};
	for (int i = 1; i < *argc; i++) {
		if (take_number(argv[i], "--flows=", &bench_shape.n_flows)
			|| take_number(argv[i], "--services=", &bench_shape.n_services)
			|| take_number(argv[i], "--backends=", &bench_shape.n_backends)) {
			choice->is_shaped = true;
			continue;
		}
		if (std::strcmp(argv[i], "--large") == 0) {
			choice->is_large = true;
			continue;
		}
		if (std::strncmp(argv[i], "--count=", 8) == 0) {
			choice->counted.emplace_back(argv[i] + 8);
			continue;
		}
		if (std::strncmp(argv[i], "--pages=", 8) != 0) {
			argv[n++] = argv[i];
			continue;
		}
		const auto found = names.find(argv[i] + 8);

		if (found == names.end())
			return false;
		choice->pages = found->second;
	}
	*argc = n;
	return true;
}

// Memory of caches that hold some ten thousand items.
constexpr uint32_t COUNT_CACHE_MB = 256;

int count(const Choice &choice, const std::vector<const bench_subject *> &subjects)
{
	std::map<std::string, const bench_case *> cases;

	for (const bench_subject *subject : subjects) {
		for (size_t k = 0; k < subject->n; k++)
			cases[subject->cases[k].name] = &subject->cases[k];
	}
	bench_cache_mb = COUNT_CACHE_MB;
	if (!instrcount_can() || bench_start(choice.pages) != 0)
		return 1;
	std::printf("build: %s\n", MICRO_BUILD);
	for (const std::string &name : choice.counted) {
		const auto found = cases.find(name);

		if (found == cases.end() || !bench_count(found->second)) {
			std::fprintf(stderr, "micro_bench: %s: %s\n", name.c_str(),
				found == cases.end()
					? "there is no such benchmark"
					: "could not be set up, or gave a wrong result");
			return 1;
		}
	}
	bench_stop();
	return 0;
}

} // namespace

int main(int argc, char **argv)
{
	std::vector<const bench_subject *> subjects(
		bench_subjects, bench_subjects + bench_n_subjects);
	Choice choice;
	Table table;

	if (!take_options(&argc, argv, &choice))
		return usage();
	if (choice.is_shaped)
		subjects = {&bench_shaped};
	else if (choice.is_large)
		subjects.push_back(&bench_cache_large);
	bench_cache_mb = choice.is_shaped ? 0
		: choice.is_large         ? BENCH_CACHE_LARGE_MB
					  : BENCH_CACHE_MB;
	if (!choice.counted.empty())
		return count(choice, subjects);
	for (const bench_subject *subject : subjects) {
		for (size_t k = 0; k < subject->n; k++) {
			const bench_case *c = &subject->cases[k];

			table.add(c);
			benchmark::RegisterBenchmark(c->name, measure, c)->UseManualTime();
		}
	}
	benchmark::Initialize(&argc, argv);
	if (benchmark::ReportUnrecognizedArguments(argc, argv))
		return usage();
	if (bench_start(choice.pages) != 0)
		return 1;
	benchmark::AddCustomContext("cpu", cpu_model());
	benchmark::AddCustomContext("tsc_hz", std::to_string(bench_tsc_hz()));
	benchmark::AddCustomContext("pages", bench_pages_name());
	benchmark::AddCustomContext("build", MICRO_BUILD);
	if (benchmark::RunSpecifiedBenchmarks(&table) == 0) {
		std::fprintf(stderr, "micro_bench: the filter matches no benchmark\n");
		return 1;
	}
	bench_stop();
	return table.failed() ? 1 : 0;
}
