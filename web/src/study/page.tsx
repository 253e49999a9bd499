export default function StudyPage({ id }: { id: string }) {
  return <h1>{id}</h1>;
}
