"""What pyproject.toml cannot say: the wheel has the folder of recipes as textrnn.recipes."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["textrnn*"]), "textrnn.recipes"],
    package_dir={"textrnn.recipes": "recipes"},
    package_data={"textrnn.recipes": ["configs/*.yaml"]},
)
