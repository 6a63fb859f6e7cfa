"""The parameters of a run: its date, its dataset, the data root, and the machines that work."""

import datetime as dt
from functools import partial

import luigi

from tasks.catalog import SAMPLE, Dataset, find_dataset
from tasks.cluster.addresses import ENGINES, Cluster, find_cluster
from tasks.download.source_fallback import ON_MISSING_SOURCE, last_known_dataset
from tasks.parameters import ChoiceParameter, DayParameter, FolderParameter, NumberParameter, SecretUrlParameter
from tasks.paths import to_path
from tasks.storage.layout import DataRoot


class RunParameters(luigi.Task):
    """The date, the dataset, the data root and the engine of a run."""

    date: DayParameter = DayParameter(
        default=dt.date.today(),
        description="Date of the run. A run for today checks whether the photos have changed; a run for a past date "
        "does not.",
    )
    allow_future_date: luigi.BoolParameter = luigi.BoolParameter(
        default=False,
        significant=False,
        description="Allow a date in the future. The models of all runs until then are compared with its model.",
    )
    dataset: luigi.Parameter[str] = luigi.Parameter(
        default=SAMPLE,
        description="Name in the catalog, folder <label>/<photo> or of Parquet files, archive of such a folder, or its "
        "URL.",
    )
    data_root: FolderParameter = FolderParameter(
        default="data",
        description="Folder of all results, on this machine or on an object store (s3://, gs:// or "
        "az://<bucket>/<folder>).",
    )
    sample_photos: NumberParameter[int] = NumberParameter(
        int, 15, default=400, description="Number of photos that `sample` draws."
    )
    max_rejected: NumberParameter[float] = NumberParameter(
        float, 0, 1, default=0.05, description="Share of photos that may be undecodable before the run fails."
    )
    max_megapixels: NumberParameter[float] = NumberParameter(
        float, 0, 10_000, default=100, description="Millions of pixels above which a photo is rejected."
    )
    max_shrink: NumberParameter[float] = NumberParameter(
        float,
        0,
        1,
        default=0.2,
        significant=False,
        description="Share of the last snapshot's photos that may be missing before the run fails.",
    )
    on_missing_source: ChoiceParameter = ChoiceParameter(
        *ON_MISSING_SOURCE,
        default="fail",
        significant=False,
        description="If the photos cannot be reached: fail, or use-last to train on the last snapshot's photos.",
    )
    corrections: luigi.Parameter[str] = luigi.Parameter(
        default="",
        significant=False,
        description="CSV file with the columns sha256 or path, and label: the labels that photos get in place of their "
        "folders'; an empty label excludes a photo. python -m pipeline audit writes one to review.",
    )
    labels: luigi.Parameter[str] = luigi.Parameter(
        default="",
        significant=False,
        description="Table (CSV, JSON lines, Parquet) of the labels, with the columns file_name, path or sha256, and "
        "label. By default metadata.csv, .jsonl or .parquet beside the photos, or else the folders.",
    )
    label_column: luigi.Parameter[str] = luigi.Parameter(
        default="",
        significant=False,
        description="Column of the labels in that table, or in Parquet files of images; by default label.",
    )
    engine: ChoiceParameter = ChoiceParameter(
        *ENGINES,
        default="local",
        significant=False,
        description="Decode photos and compute bottlenecks on this machine (local) or on a Ray cluster (ray); the "
        "results are the same.",
    )
    ray_address: luigi.Parameter[str] = luigi.Parameter(
        default="",
        significant=False,
        description="With ray: address of the cluster, auto or <host>:<port> of its head; this machine must be a node "
        "of it. By default Ray is started on this machine for the time of the work.",
    )
    gpus_per_actor: NumberParameter[float] = NumberParameter(
        float,
        0,
        default=0,
        significant=False,
        description="With ray: GPUs for each actor that runs a network; fractions are allowed.",
    )
    log_format: ChoiceParameter = ChoiceParameter(
        "text",
        "json",
        default="text",
        significant=False,
        description="Format of standard output: text for people, or json with one object a line for programs.",
    )
    notify: SecretUrlParameter = SecretUrlParameter(
        description="URL that gets one POST of JSON when the run has ended or failed, such as an incoming webhook of a "
        "chat service. It is stored nowhere. Give it in luigi.cfg: other users can see a command line.",
    )

    def cluster(self) -> Cluster | None:
        """The Ray cluster that works on photos; None where this machine does.

        Raises:
            SettingError: The parameters describe no cluster.
        """
        return find_cluster(self.engine, self.ray_address, self.gpus_per_actor)

    @property
    def root(self) -> DataRoot:
        """The data root."""
        return DataRoot(to_path(self.data_root))

    def source(self) -> Dataset:
        """The dataset; where its photos cannot be reached, as its last snapshot describes it.

        Raises:
            DatasetError: There is no dataset of that name, and no snapshot of one.
        """
        return find_dataset(self.dataset, self.sample_photos, partial(last_known_dataset, self.root))
