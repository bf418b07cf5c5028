export async function getServerSideProps() { return { props: {} }; }
export default function Hello() { return 'hello'; }
