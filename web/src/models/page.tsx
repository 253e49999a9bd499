export default function ModelPage({ id }: { id: string }) {
  return <h1>{id}</h1>;
}
